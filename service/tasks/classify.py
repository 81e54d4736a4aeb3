"""Classification: text → ids → one row of the model → labels with their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contract.inputs import document_row, text_row
from contract.preprocessing import LabelPreprocessing
from contract.sentences import encode_document
from contract.signature import PredictSignature
from contract.text import Encoding, InputCodec
from service.runtime.bundle import Bundle
from service.runtime.errors import NoAttentionError
from service.runtime.oneshot import OneShotEngine
from service.runtime.requests import Prediction
from service.tasks.errors import EmptyTextError, TextTooLongError, check_characters, check_explained
from service.tasks.limits import RequestLimits
from service.tasks.maps import TextMap, text_maps
from service.tasks.ranking import RankingOptions, RankingWork, most_probable

Options = RankingOptions


@dataclass(frozen=True)
class LabelScore:
    """A label and its probability."""

    label: str
    score: float


@dataclass(frozen=True)
class Classification:
    """Labels, the most probable one first. `truncated`: the text was cut before it was read."""

    labels: list[LabelScore]
    truncated: bool
    attention: list[TextMap] | None = None


class Classifier:
    """What stands before and after the model of one bundle."""

    def __init__(self, bundle: Bundle, engine: OneShotEngine, limits: RequestLimits | None = None) -> None:
        self.engine = engine
        self._manifest = bundle.manifest
        self._limits = limits or RequestLimits()
        preprocessing, signature = self._manifest.preprocessing, self._manifest.signature
        assert isinstance(preprocessing, LabelPreprocessing)
        assert isinstance(signature, PredictSignature)
        self.labels = preprocessing.labels
        self.attention = signature.attention
        self._documents, self._language = preprocessing.sentences, preprocessing.language
        self._codec = InputCodec.load(bundle.folder / preprocessing.tokenizer)

    def read(self, text: str, options: Options, field: str) -> Document:
        """A text as the work that it is. `field` names the text in errors.

        Raises:
            EmptyTextError, TextTooLongError: there is nothing to classify, or too much.
            NoAttentionError: an explanation of a model without attention.
        """
        if options.explain and not self.attention:
            raise NoAttentionError(self._manifest.name)
        check_characters(text, self._limits.characters, field)
        if not text or text.isspace():
            raise EmptyTextError(field)
        encodings, truncated = self._encode(text, options, field)
        if options.explain:
            check_explained(sum(len(encoding.ids) for encoding in encodings), self._limits.explain_tokens, field)
        ids = [encoding.ids for encoding in encodings]
        inputs = document_row(ids) if self._documents else text_row(ids[0])
        return Document(
            inputs=inputs, options=options, classifier=self, text=text, encodings=encodings, truncated=truncated
        )

    def rank(self, scores: Sequence[float], top_k: int) -> list[LabelScore]:
        """The labels of the `top_k` highest log-probabilities."""
        return [LabelScore(self.labels[label], score) for label, score in most_probable(scores, top_k)]

    def _encode(self, text: str, options: Options, field: str) -> tuple[list[Encoding], bool]:
        """The text as the model reads it, sentence by sentence where it reads sentences; and whether it was cut."""
        limits = self._manifest.limits
        if self._documents:
            encodings = encode_document(text, self._codec, limits.of("words"), self._language)
            kept, length, limit, unit = (
                encodings[: limits.of("sentences")],
                len(encodings),
                limits.of("sentences"),
                "sentences",
            )
        else:
            whole = self._codec.encode(text)
            limit, unit, length = limits.of("source"), "tokens", len(whole.ids)
            kept = [self._codec.truncate(whole, limit)[0]]
        if length > limit and not options.truncate:
            detail = (
                f"{length} {unit}, the limit of model {self._manifest.name!r} is {limit}: "
                "shorten the text, or set truncate to true"
            )
            raise TextTooLongError(detail, field)
        return kept, length > limit


@dataclass(frozen=True, kw_only=True)
class Document(RankingWork):
    """A text's work: also what its tokens are, by which the answer is told."""

    classifier: Classifier
    text: str
    encodings: list[Encoding]
    truncated: bool

    @property
    def size(self) -> int:
        """Tokens that the model reads."""
        return sum(len(encoding.ids) for encoding in self.encodings)

    def result(self, outcomes: list[Prediction]) -> Classification:
        """Labels and their probabilities, and with `explains` what the model looked at."""
        labels = self.classifier.rank(outcomes[0].outputs["scores"].tolist(), self.options.top_k)
        if not self.explains:
            return Classification(labels, self.truncated)
        maps = self.classifier.engine.explain(self.inputs)
        shown = text_maps(self.classifier.attention, maps, self.text, self.encodings)
        return Classification(labels, self.truncated, shown)
