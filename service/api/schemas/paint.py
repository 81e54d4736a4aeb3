"""Bodies of the tasks complete-image and upscale."""

from __future__ import annotations

import base64
import io

from PIL import Image
from pydantic import BaseModel, Field

from service.api.schemas.body import Reply
from service.api.schemas.picture import IMAGE, PictureBody, Pictures
from service.api.schemas.sampling import SEED_TOLD, SamplingFields
from service.tasks.paint import CompletionOptions, Drawn
from service.tasks.sampling import SamplingOptions


class _PaintRequest(PictureBody, SamplingFields):
    image: Pictures = Field(min_length=1, description=f"{IMAGE}; one picture or several")
    model: str | None = Field(None, description="name of a model; else the default")


class UpscaleRequest(_PaintRequest):
    """Pictures to draw anew, with more pixels than the model sees of them."""

    def options(self) -> SamplingOptions:
        """What the task needs to know."""
        return SamplingOptions(**self.sampling())


class CompleteImageRequest(_PaintRequest):
    """Pictures whose lower part is to be drawn."""

    rows: int | None = Field(
        None, ge=0, description="how many rows of the square that the model draws are kept, from the top; else half"
    )

    def options(self) -> CompletionOptions:
        """What the task needs to know."""
        return CompletionOptions(**self.sampling(), rows=self.rows)


class DrawnReply(BaseModel):
    """A picture that was drawn."""

    image: str = Field(
        description="a PNG file in base64", json_schema_extra={"format": "byte", "contentEncoding": "base64"}
    )
    size: int = Field(gt=0, description="its pixels a side", examples=[32])
    seed: int = Field(ge=0, description=SEED_TOLD, examples=[7])
    score: float = Field(description="mean log-probability of an intensity that was drawn; at most 0", examples=[-3.1])


class PaintReply(Reply):
    """Pictures in the order of those that were sent."""

    pictures: list[DrawnReply]


def drawn_reply(drawn: Drawn) -> DrawnReply:
    """A picture as it is replied."""
    file = io.BytesIO()
    Image.fromarray(drawn.pixels).save(file, "PNG")
    image = base64.b64encode(file.getvalue()).decode("ascii")
    return DrawnReply(image=image, size=len(drawn.pixels), seed=drawn.seed, score=drawn.score)
