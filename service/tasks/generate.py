"""Generation: a prompt → ids → the engine's request → the text that goes on from it."""

from __future__ import annotations

from dataclasses import dataclass

from contract import tunes
from contract.inputs import prompt_row
from contract.preprocessing import PromptPreprocessing
from service.runtime.bundle import Bundle
from service.runtime.decoding import DecodingEngine
from service.runtime.requests import Generation
from service.tasks.errors import BadOptionError, PromptError, TextTooLongError, check_characters
from service.tasks.limits import RequestLimits
from service.tasks.sampling import Drawer, Drawing, SamplingOptions, draw


@dataclass(frozen=True)
class Options(SamplingOptions):
    """How to write. `max_length` is the most tokens to be added to the prompt; None adds as many as the model can."""

    max_length: int | None = None


@dataclass(frozen=True)
class Passage:
    """What was written.

    `text` begins with the prompt, as the model read it. `tune` is the text as an ABC file of its own, where the model
    writes tunes and this is one that has a key and no empty field. `score` is the mean log-probability of a token, of
    which `length` were written, the end left out. `unfinished`: the model would have gone on.
    """

    text: str
    tune: str | None
    score: float
    length: int
    seed: int
    unfinished: bool


class Composer(Drawer):
    """What stands before and after the model of one bundle."""

    def __init__(self, bundle: Bundle, engine: DecodingEngine, limits: RequestLimits | None = None) -> None:
        super().__init__(bundle, engine, limits)
        self.codec = bundle.target
        preprocessing = bundle.manifest.preprocessing
        assert isinstance(preprocessing, PromptPreprocessing)
        self._notation = preprocessing.notation

    @property
    def writes_tunes(self) -> bool:
        """Whether what it writes can be played."""
        return self._notation == "abc"

    def read(self, text: str, options: Options, field: str) -> Prompt:
        """A prompt as the work that it is; it may be empty. `field` names it in errors.

        Raises:
            PromptError: the model cannot read it.
            TextTooLongError: it leaves no place for what is to be written.
            BadOptionError: as for `draw`, or nothing is to be written, or more than there is place for.
        """
        ids = self._ids(text, field)
        limit = self._manifest.limits.of("target")
        left = limit - len(ids) + 1
        if left < 1:
            detail = f"the prompt has {len(ids) - 1} tokens, which with what follows may be {limit}: shorten it"
            raise TextTooLongError(detail, field)
        length = left if options.max_length is None else options.max_length
        if length < 1:
            raise BadOptionError(f"{length} tokens are none: ask for 1 at least", "max_length")
        if length > left:
            detail = f"{length} tokens after a prompt of {len(ids) - 1} are more than this model's limit of {limit}"
            raise BadOptionError(f"{detail}: ask for {left} at most", "max_length")
        search = draw(options, self._manifest, length)
        return Prompt(prompt_row(ids), ids[-1], len(ids) - 1, search, options.seed, self, ids[1:])

    def write(self, prompt: Prompt, generation: Generation) -> Passage:
        """The text that became of a prompt."""
        best = generation.hypotheses[0]
        text = self.codec.decode([*prompt.text_ids, *best.token_ids])
        ends = self._manifest.special_ids.eos is not None
        tune = self._tune(text, prompt.seed) if self.writes_tunes else None
        return Passage(text, tune, best.score, len(best.token_ids), prompt.seed, ends and not best.finished)

    def _ids(self, text: str, field: str) -> list[int]:
        """BOS and what follows it."""
        check_characters(text, self._limits.characters, field)
        if self.writes_tunes:
            try:
                text = tunes.prompt(text)
            except ValueError as error:
                raise PromptError(str(error), field) from error
        encoding = self.codec.encode(text)
        unknown = {
            text[start:end]
            for i, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)
            if i == self.codec.unk
        }
        if unknown:
            told = ", ".join(map(repr, sorted(unknown)[:10]))
            raise PromptError(f"model {self._manifest.name!r} does not know {told}: leave them out", field)
        return [self.codec.bos, *encoding.ids]

    def _tune(self, text: str, seed: int) -> str | None:
        try:
            return tunes.complete(text, f"Tune {seed}")
        except ValueError:
            return None


@dataclass(frozen=True)
class Prompt(Drawing):
    """A prompt's work; `text_ids` are its own, without BOS."""

    composer: Composer
    text_ids: list[int]

    @property
    def size(self) -> int:
        """Tokens that the model reads, BOS among them."""
        return len(self.text_ids) + 1

    def result(self, outcomes: list[Generation]) -> Passage:
        """The text."""
        return self.composer.write(self, outcomes[0])
