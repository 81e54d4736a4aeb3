"""Bodies of the task classify."""

from __future__ import annotations

from pydantic import BaseModel, Field

from service.api.schemas.body import Body, Reply, SourceTokenReply, Texts, source_tokens_reply
from service.tasks.classify import Classification, Options
from service.tasks.maps import TextMap


class ClassifyRequest(Body):
    """Texts to classify."""

    text: Texts = Field(
        min_length=1,
        description="what to classify; one text or a list",
        examples=["A gripping, beautifully shot film."],
    )
    model: str | None = Field(None, description="name of a model; else the default", examples=["sentiment"])
    top_k: int = Field(Options.top_k, ge=1, description="how many labels to return, where the model has as many")
    explain: bool = Field(False, description="add attention maps")
    truncate: bool = Field(False, description="cut texts beyond the model's limit instead of refusing them")

    def options(self) -> Options:
        """What the task needs to know."""
        return Options(top_k=self.top_k, explain=self.explain, truncate=self.truncate)


class LabelReply(BaseModel):
    """A label and its probability."""

    label: str = Field(examples=["positive"])
    score: float = Field(ge=0, le=1, examples=[0.98])


class TextMapReply(BaseModel):
    """What the model looked at, at one level: weights along `axes`, the last of which is that of `sources`."""

    name: str = Field(description="which level of the model", examples=["attention"])
    axes: list[str] = Field(examples=[["source"]])
    sources: list[SourceTokenReply]
    targets: list[str] | None = Field(None, description="where the first axis is a part of the text too: its places")
    weights: list[float] | list[list[float]]


class PredictionReply(LabelReply):
    """The most probable label of a text, and the ones after it."""

    labels: list[LabelReply] = Field(description="the `top_k` most probable labels, best first")
    truncated: bool | None = Field(None, description="true where the text was cut before it was read")
    attention: list[TextMapReply] | None = Field(None, description="with explain: a map for each level of the model")


class ClassifyReply(Reply):
    """Predictions in the order of the texts."""

    predictions: list[PredictionReply]


def prediction_reply(found: Classification) -> PredictionReply:
    """A classification as it is replied; what is not there is left out."""
    labels = [LabelReply(label=each.label, score=each.score) for each in found.labels]
    return PredictionReply(
        label=labels[0].label,
        score=labels[0].score,
        labels=labels,
        truncated=found.truncated or None,
        attention=None if found.attention is None else [_map(each) for each in found.attention],
    )


def _map(found: TextMap) -> TextMapReply:
    return TextMapReply(
        name=found.name,
        axes=list(found.axes),
        sources=source_tokens_reply(found.sources),
        targets=found.targets,
        weights=found.weights,
    )
