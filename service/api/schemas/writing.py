"""What the bodies of tasks have in common whose model writes text."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from pydantic import Field

from service.api.schemas.body import Body
from service.tasks.writing import SearchOptions

_NAMES = {field.name for field in fields(SearchOptions)}


class SearchFields(Body):
    """How a text is searched for."""

    beam_size: int | None = Field(None, ge=1, description="1 is greedy; else the model's default")
    length_penalty: float | None = Field(
        None, ge=0, le=10, description="exponent of the length by which scores are divided; else the model's default"
    )
    max_length: int | None = Field(None, ge=1, description="longest text, in tokens; else the model's limit")

    def search(self) -> dict[str, Any]:
        """What is asked for, by the names of `SearchOptions`."""
        return self.model_dump(include=_NAMES)


class WriteFields(SearchFields):
    """How a text is searched for, and what is told of it."""

    alternatives: int = Field(0, ge=0, description="further texts wanted, fewer than beam_size")
    explain: bool = Field(False, description="add attention maps")
