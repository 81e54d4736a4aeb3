"""Bodies of the task caption."""

from __future__ import annotations

from pydantic import BaseModel, Field

from contract.images import View
from service.api.schemas.body import Reply
from service.api.schemas.picture import IMAGE, Picture, PictureBody, Pictures
from service.api.schemas.writing import SearchFields, WriteFields
from service.tasks.caption import Caption, Options, Rendering
from service.tasks.regions import AXES, RegionMap

_MODEL = "name of a model; else the default"


class _CaptionOptions(PictureBody, WriteFields):
    model: str | None = Field(None, description=_MODEL, examples=["captions"])

    def options(self) -> Options:
        """What the task needs to know."""
        return Options(**self.search())


class CaptionRequest(_CaptionOptions):
    """Pictures to describe."""

    image: Pictures = Field(min_length=1, description=f"{IMAGE}; one picture or several")


class CaptionStreamRequest(_CaptionOptions):
    """A picture to describe while the reader looks on."""

    image: Picture = Field(description=IMAGE)


class CaptionOverlayRequest(PictureBody, SearchFields):
    """A picture to describe, and to be shown what each word was written by."""

    image: Picture = Field(description=IMAGE)
    model: str | None = Field(None, description=_MODEL, examples=["captions"])

    def options(self) -> Options:
        """What the task needs to know."""
        return Options(**self.search(), explain=True)


class BoxReply(BaseModel):
    """A box of an upright picture, in pixels: `right` and `bottom` are the first that are not in it."""

    left: int = Field(ge=0, examples=[0])
    top: int = Field(ge=0, examples=[0])
    right: int = Field(gt=0, examples=[640])
    bottom: int = Field(gt=0, examples=[480])


class SeenReply(BaseModel):
    """The picture that was sent, turned upright as its EXIF data says, and the part of it that the model saw."""

    width: int = Field(gt=0, examples=[640])
    height: int = Field(gt=0, examples=[480])
    box: BoxReply


class RegionMapReply(BaseModel):
    """What the model looked at when it wrote each word.

    `weights` has a map of rows × columns for each of `targets`. The grid divides the image's `box` evenly: of C columns
    over a box of width w, column c spans from left + c · w / C to left + (c + 1) · w / C; rows likewise.
    """

    axes: list[str] = Field(examples=[list(AXES)])
    targets: list[str] = Field(description="the words of the caption", examples=[["a", "dog", "runs"]])
    grid: list[int] = Field(min_length=2, max_length=2, description="rows and columns", examples=[[7, 7]])
    weights: list[list[list[float]]]


class CaptionedReply(BaseModel):
    """One way to describe a picture."""

    text: str = Field(examples=["a dog runs through the grass"])
    score: float = Field(description="sum of log-probabilities over length^length_penalty; at most 0", examples=[-0.8])
    attention: RegionMapReply | None = Field(None, description="with explain: what the model looked at")


class PictureReply(CaptionedReply):
    """The best caption of a picture."""

    alternatives: list[CaptionedReply] | None = Field(None, description="where asked for, best first")
    unfinished: bool | None = Field(None, description="true where the caption reached max_length before its end")
    image: SeenReply


class CaptionReply(Reply):
    """Captions in the order of the pictures."""

    captions: list[PictureReply]


def picture_reply(found: Caption) -> PictureReply:
    """A picture's captions as they are replied; what is not there is left out."""
    best = _captioned(found.best)
    return PictureReply(
        text=best.text,
        score=best.score,
        attention=best.attention,
        alternatives=[_captioned(each) for each in found.alternatives] or None,
        unfinished=found.unfinished or None,
        image=_seen(found.view),
    )


def _captioned(rendering: Rendering) -> CaptionedReply:
    attention = None if rendering.attention is None else _map(rendering.attention)
    return CaptionedReply(text=rendering.text, score=rendering.score, attention=attention)


def _map(found: RegionMap) -> RegionMapReply:
    return RegionMapReply(
        axes=list(AXES), targets=found.targets, grid=list(found.weights.shape[1:]), weights=found.lists
    )


def _seen(view: View) -> SeenReply:
    left, top, right, bottom = view.box
    return SeenReply(width=view.width, height=view.height, box=BoxReply(left=left, top=top, right=right, bottom=bottom))
