"""Translation: text → sentences → ids → the engine's requests → translations, joined again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from contract.inputs import text_row
from contract.sentences import Sentence, part_sentences, split_sentences
from contract.text import EOS, Encoding
from service.runtime.requests import GenerateRequest, Generation, Hypothesis, Search
from service.runtime.search import normalised_score
from service.tasks.attention import AttentionMap, SentenceAttention, attention_map, source_tokens
from service.tasks.errors import EmptyTextError, TextTooLongError, check_characters, check_explained
from service.tasks.writing import SearchOptions, Writer


@dataclass(frozen=True)
class Options(SearchOptions):
    """How to translate. With `truncate`, sentences beyond the model's limit are cut instead of refused."""

    truncate: bool = False


@dataclass(frozen=True)
class Piece:
    """A sentence as the model reads it: closed by EOS, and cut to the model's limit where that was asked for."""

    sentence: Sentence
    source: Encoding
    truncated: bool


@dataclass(frozen=True)
class Rendering:
    """One way to translate a text.

    `score` is the sum of log-probabilities over length^length_penalty, both taken over all sentences together, so that
    it is a single sentence's own score where there is one. `tokens` and `attention` are there when asked for.
    """

    text: str
    score: float
    tokens: list[str] | None = None
    attention: AttentionMap | None = None


@dataclass(frozen=True)
class Translation:
    """The best rendering and the further ones, the n-th made of the n-th best of each sentence.

    `truncated`: a sentence was cut before it was translated. `unfinished`: a translation reached its length limit.
    """

    best: Rendering
    alternatives: list[Rendering]
    truncated: bool
    unfinished: bool


class Translator(Writer):
    """What stands before and after the model of one bundle."""

    def read(self, text: str, options: Options, field: str) -> Paragraph:
        """A text as the work that it is. `field` names the text in errors.

        Raises:
            EmptyTextError, TextTooLongError: there is nothing to translate, or too much.
            NoAttentionError, BeamLimitError, BadOptionError: as for `search`.
        """
        search = self.search(options)
        return Paragraph(self, self.pieces(text, options, field), search, options)

    def pieces(self, text: str, options: Options, field: str) -> list[Piece]:
        """The sentences of a text, ready for the model. `field` names the text in errors.

        Raises:
            EmptyTextError, TextTooLongError: there is nothing to translate, or too much.
        """
        check_characters(text, self._limits.characters, field)
        languages = self._manifest.text
        sentences = part_sentences(split_sentences(text, languages.source_language), languages.target_language)
        if not sentences:
            raise EmptyTextError(field)
        pieces = [self._read_sentence(sentence, options, field) for sentence in sentences]
        if options.explain:
            check_explained(sum(len(piece.source.ids) for piece in pieces), self._limits.explain_tokens, field)
        return pieces

    def request(
        self,
        piece: Piece,
        search: Search,
        options: Options,
        deadline: float | None = None,
        on_tokens: Callable[[list[int]], None] | None = None,
    ) -> GenerateRequest:
        """The engine's request for one sentence. Where no length is asked for, it follows from the source's."""
        manifest = self._manifest
        max_length = options.max_length or manifest.decoding_defaults.max_length(len(piece.source.ids), manifest.limits)
        return GenerateRequest(text_row(piece.source.ids), replace(search, max_length=max_length), deadline, on_tokens)

    def write(self, pieces: list[Piece], generations: list[Generation], search: Search) -> Translation:
        """Put the sentences' translations together."""
        ranks = max(len(generation.hypotheses) for generation in generations)
        renderings = [self._render(pieces, _ranked(generations, rank), search) for rank in range(ranks)]
        return Translation(
            best=renderings[0],
            alternatives=renderings[1:],
            truncated=any(piece.truncated for piece in pieces),
            unfinished=not all(hypothesis.finished for hypothesis in _ranked(generations, 0)),
        )

    def explain(self, pieces: list[Piece], generations: list[Generation], translation: Translation) -> Translation:
        """Add tokens and attention to every rendering. Runs the model again: blocking."""
        renderings = [translation.best, *translation.alternatives]
        parts: list[list[SentenceAttention]] = [[] for _ in renderings]
        for piece, generation in zip(pieces, generations, strict=True):
            hypotheses = [_ranked([generation], rank)[0] for rank in range(len(renderings))]
            maps = self.engine.explain(text_row(piece.source.ids), [hypothesis.token_ids for hypothesis in hypotheses])
            sources = source_tokens(piece.sentence.text, piece.source, piece.sentence.start)
            for part, hypothesis, weights in zip(parts, hypotheses, maps, strict=True):
                part.append(SentenceAttention(sources, self._targets(hypothesis), weights))
        axes = self._attention_axes
        assert axes is not None
        explained = [
            replace(
                rendering,
                tokens=[token for sentence in part for token in sentence.targets if token != EOS],
                attention=attention_map(axes, part),
            )
            for rendering, part in zip(renderings, parts, strict=True)
        ]
        return replace(translation, best=explained[0], alternatives=explained[1:])

    def _read_sentence(self, sentence: Sentence, options: Options, field: str) -> Piece:
        source = self._bundle.source.source(sentence.text)
        length, limit = len(source.ids), self._manifest.limits.of("source")
        if length <= limit:
            return Piece(sentence, source, truncated=False)
        if not options.truncate:
            start = f" (from character {sentence.start})" if sentence.start else ""
            detail = (
                f"a sentence{start} has {length} tokens, the limit of model {self._manifest.name!r} is {limit}: "
                "shorten it, or set truncate to true"
            )
            raise TextTooLongError(detail, field)
        kept = limit - 1
        end = source.offsets[kept - 1][1] if kept else 0
        cut = Encoding(
            [*source.ids[:kept], source.ids[-1]],
            [*source.tokens[:kept], source.tokens[-1]],
            [*source.offsets[:kept], (end, end)],
        )
        return Piece(sentence, cut, truncated=True)

    def _render(self, pieces: list[Piece], hypotheses: list[Hypothesis], search: Search) -> Rendering:
        text = "".join(
            self.text(hypothesis) + piece.sentence.separator
            for piece, hypothesis in zip(pieces, hypotheses, strict=True)
        )
        log_probability = sum(hypothesis.log_probability for hypothesis in hypotheses)
        length = sum(len(hypothesis.token_ids) + int(hypothesis.finished) for hypothesis in hypotheses)
        return Rendering(text, normalised_score(log_probability, length, search.length_penalty))

    def _targets(self, hypothesis: Hypothesis) -> list[str]:
        tokens = self.codec.tokens(hypothesis.token_ids)
        return [*tokens, EOS] if hypothesis.finished else tokens


@dataclass(frozen=True)
class Paragraph:
    """A text's work: its sentences, and how they are to be translated."""

    translator: Translator
    pieces: list[Piece]
    search: Search
    options: Options

    @property
    def size(self) -> int:
        """Tokens of all sentences."""
        return sum(len(piece.source.ids) for piece in self.pieces)

    @property
    def rows(self) -> int:
        """Number of sentences."""
        return len(self.pieces)

    @property
    def explains(self) -> bool:
        """Whether tokens and attention are wanted."""
        return self.options.explain

    def requests(self, deadline: float | None, group: int) -> list[GenerateRequest]:
        """A request for each sentence."""
        translator, search, options = self.translator, self.search, self.options
        return [replace(translator.request(piece, search, options, deadline), group=group) for piece in self.pieces]

    def result(self, outcomes: list[Generation]) -> Translation:
        """The sentences' translations, put together."""
        translation = self.translator.write(self.pieces, outcomes, self.search)
        return self.translator.explain(self.pieces, outcomes, translation) if self.explains else translation


def _ranked(generations: list[Generation], rank: int) -> list[Hypothesis]:
    """The hypothesis of a rank of each sentence; a sentence with fewer gives its last."""
    return [generation.hypotheses[min(rank, len(generation.hypotheses) - 1)] for generation in generations]
