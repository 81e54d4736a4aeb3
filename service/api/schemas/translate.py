"""Bodies of the task translate."""

from __future__ import annotations

from pydantic import BaseModel, Field

from service.api.schemas.body import Reply, SourceTokenReply, Text, Texts, source_tokens_reply
from service.api.schemas.writing import WriteFields
from service.tasks.attention import AttentionMap
from service.tasks.translate import Options, Rendering, Translation

_TEXT = "what to translate; a paragraph is split into sentences and joined again"


class _TranslateOptions(WriteFields):
    model: str | None = Field(None, description="name of a model; else the default", examples=["translation-en-de"])
    max_length: int | None = Field(
        None, ge=1, description="longest translation of a sentence, in tokens; else it follows from its length"
    )
    truncate: bool = Field(False, description="cut sentences beyond the model's limit instead of refusing them")

    def options(self) -> Options:
        """What the task needs to know."""
        return Options(**self.search(), truncate=self.truncate)


class TranslateRequest(_TranslateOptions):
    """Texts to translate."""

    text: Texts = Field(
        min_length=1, description=f"{_TEXT}; one text or a list", examples=["A man is riding a bicycle."]
    )


class TranslateStreamRequest(_TranslateOptions):
    """A text to translate while the reader looks on."""

    text: Text = Field(description=_TEXT, examples=["A man is riding a bicycle."])


class AttentionReply(BaseModel):
    """Row t of `weights` is what the model looked at when it chose target t, the end token last."""

    axes: list[str] = Field(examples=[["target", "source"]])
    sources: list[SourceTokenReply]
    targets: list[str]
    weights: list[list[float]]


class RenderingReply(BaseModel):
    """One way to translate a text."""

    text: str = Field(examples=["Ein Mann fährt Fahrrad."])
    score: float = Field(
        description="sum of log-probabilities over length^length_penalty, over all sentences together; at most 0",
        examples=[-0.31],
    )
    tokens: list[str] | None = Field(None, description="with explain: the tokens of the translation")
    attention: AttentionReply | None = Field(None, description="with explain: what the model looked at")


class TranslationReply(RenderingReply):
    """The best translation of a text."""

    alternatives: list[RenderingReply] | None = Field(
        None,
        description="where asked for, best first: the n-th is made of the n-th best translation of each sentence",
    )
    truncated: bool | None = Field(None, description="true where a sentence was cut before it was translated")
    unfinished: bool | None = Field(None, description="true where a translation reached max_length before its end")


class TranslateReply(Reply):
    """Translations in the order of the texts."""

    translations: list[TranslationReply]


def translation_reply(translation: Translation, options: Options) -> TranslationReply:
    """A translation as it is replied; what is not there is left out."""
    best = _rendering(translation.best)
    return TranslationReply(
        text=best.text,
        score=best.score,
        tokens=best.tokens,
        attention=best.attention,
        alternatives=[_rendering(other) for other in translation.alternatives] if options.alternatives else None,
        truncated=translation.truncated or None,
        unfinished=translation.unfinished or None,
    )


def _rendering(rendering: Rendering) -> RenderingReply:
    attention = None if rendering.attention is None else _attention(rendering.attention)
    return RenderingReply(text=rendering.text, score=rendering.score, tokens=rendering.tokens, attention=attention)


def _attention(attention: AttentionMap) -> AttentionReply:
    return AttentionReply(
        axes=list(attention.axes),
        sources=source_tokens_reply(attention.sources),
        targets=attention.targets,
        weights=attention.weights,
    )
