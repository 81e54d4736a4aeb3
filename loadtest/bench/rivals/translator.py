"""A Transformer's bundle as a CTranslate2 model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ctranslate2 import Translator

from contract.text import BOS, EOS, UNK
from loadtest.bench.convert import SpecialTokens, convert
from loadtest.bench.rivals.plain import Reply
from loadtest.bench.weights import count_heads, read_parameters
from service.runtime.bundle import open_bundle

_COMPUTE_TYPES = {"cpu": "int8", "cuda": "float16"}


class PlainTranslator:
    """A translator, greedy, by the same weights, tokens and limits as ours."""

    def __init__(self, folder: Path, provider: str, threads: int) -> None:
        self._bundle = bundle = open_bundle(folder, provider="cpu" if provider == "cpu" else "auto")
        codecs = bundle.source, bundle.target
        source, target = (codec.tokens(list(range(codec.vocabulary_size))) for codec in codecs)
        parameters = read_parameters(bundle.folder, bundle.manifest)
        with TemporaryDirectory() as place:
            model = Path(place) / "model"
            convert(parameters, count_heads(bundle.manifest), (source, target), SpecialTokens(UNK, BOS, EOS), model)
            self._translator = Translator(
                str(model),
                device=bundle.provider,
                compute_type=_COMPUTE_TYPES[bundle.provider],
                inter_threads=1,
                intra_threads=threads,
            )

    def read(self, asked: str) -> list[str]:
        """A text as tokens."""
        return self._bundle.source.source(asked).tokens

    def run(self, rows: Sequence[list[str]]) -> list[list[str]]:
        """Tokens of each translation."""
        longest = self._bundle.manifest.limits.of("target")
        results = self._translator.translate_batch(
            list(rows), beam_size=1, max_decoding_length=longest, min_decoding_length=0, max_input_length=0
        )
        return [result.hypotheses[0] for result in results]

    def write(self, tokens: list[str]) -> Reply:
        """What is replied of a translation."""
        codec = self._bundle.target
        return {"translations": [{"text": codec.decode([codec.token_id(token) for token in tokens])}]}
