"""What the bodies of tasks have in common whose model draws what it writes."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from pydantic import Field

from service.api.schemas.body import Body
from service.tasks.sampling import HOTTEST, SEEDS, SamplingOptions

_NAMES = {field.name for field in fields(SamplingOptions)}
SEED_TOLD = "with this seed, and all else the same, the request's model draws this again"


class SamplingFields(Body):
    """How to draw."""

    temperature: float | None = Field(
        None,
        ge=0,
        le=HOTTEST,
        description="below 1 the likelier is preferred, above it the unlikelier; 0: always the likeliest token; "
        "else the model's default",
    )
    top_k: int | None = Field(
        None, ge=1, description="draw from so many of the likeliest tokens; else the model's default"
    )
    top_p: float | None = Field(
        None, gt=0, le=1, description="of these, from the fewest whose share is at least this; else the model's default"
    )
    seed: int | None = Field(
        None,
        ge=0,
        lt=SEEDS,
        description="the same seed draws the same again, whatever else is running; of a list, the n-th item takes the "
        "n-th seed from here on; else a seed is drawn, and told",
    )

    def sampling(self) -> dict[str, Any]:
        """What is asked for, by the names of `SamplingOptions`; a seed that is not given is left to them."""
        return self.model_dump(include=_NAMES, exclude_none=True)
