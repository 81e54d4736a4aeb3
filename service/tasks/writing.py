"""What tasks have in common whose model writes text: how a request asks for the search, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from contract.signature import GenerateSignature
from service.runtime.bundle import Bundle
from service.runtime.decoding import DecodingEngine
from service.runtime.errors import NoAttentionError
from service.runtime.requests import Hypothesis, Search
from service.tasks.errors import BadOptionError, BeamLimitError
from service.tasks.limits import RequestLimits


@dataclass(frozen=True)
class SearchOptions:
    """How to search for a text; None takes the bundle's default."""

    beam_size: int | None = None
    length_penalty: float | None = None
    max_length: int | None = None
    alternatives: int = 0
    explain: bool = False


class Writer:
    """The model of one bundle as something that writes: the half of a task that does not depend on what it reads."""

    def __init__(self, bundle: Bundle, engine: DecodingEngine, limits: RequestLimits | None = None) -> None:
        self.engine = engine
        self.codec = bundle.target
        self._bundle = bundle
        self._manifest = bundle.manifest
        self._limits = limits or RequestLimits()
        signature = self._manifest.signature
        assert isinstance(signature, GenerateSignature)
        self._attention_axes = None if signature.attention is None else tuple(map(str, signature.attention.axes))

    @property
    def explains(self) -> bool:
        """Whether the model has attention to explain with."""
        return self._attention_axes is not None

    def search(self, options: SearchOptions) -> Search:
        """The search that a request's options describe; `max_length` is the longest that the model can write.

        Raises:
            NoAttentionError: an explanation of a model without attention.
            BeamLimitError: a beam wider than the limit.
            BadOptionError: more alternatives than the beam holds, or a longer output than the model's limit.
        """
        defaults = self._manifest.decoding_defaults
        wanted = options.alternatives + 1
        beam_size = options.beam_size or max(defaults.beam_size, wanted)
        if beam_size > self._limits.beam_size:
            raise BeamLimitError(beam_size, self._limits.beam_size)
        if wanted > beam_size:
            detail = f"a beam of {beam_size} holds {beam_size - 1} alternatives: ask for fewer, or widen beam_size"
            raise BadOptionError(detail, "alternatives")
        limit = self._manifest.limits.of("target")
        if options.max_length is not None and options.max_length > limit:
            raise BadOptionError(f"{options.max_length} is above this model's limit of {limit} tokens", "max_length")
        if options.explain and not self.explains:
            raise NoAttentionError(self._manifest.name)
        penalty = defaults.length_penalty if options.length_penalty is None else options.length_penalty
        return Search(beam_size=beam_size, length_penalty=penalty, max_length=limit, alternatives=wanted)

    def text(self, hypothesis: Hypothesis) -> str:
        """Text of one hypothesis."""
        return self.codec.decode(hypothesis.token_ids)
