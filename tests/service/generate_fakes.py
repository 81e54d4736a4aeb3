"""A composer without a model: what it writes can be told from the seed."""

from __future__ import annotations

import atexit
import shutil
import string
import tempfile
from functools import cache
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from contract.manifest import DecodingDefaults, Limits, Sampling, SpecialIds
from contract.preprocessing import Notation, PromptPreprocessing
from contract.signature import GenerateSignature, State, Tensor
from contract.text import SPECIAL_TOKENS, UNK, TextCodec
from service.kinds import Model
from service.metrics import DecodingMetrics
from service.runtime.bundle import Bundle
from service.runtime.requests import GenerateRequest
from service.tasks.generate import Composer
from service.tasks.limits import RequestLimits
from tests.service.fakes import FakeEngine, make_bundle

TARGET_LIMIT = 60
DEFAULTS = Sampling(temperature=0.9, top_k=300, top_p=0.95)
PLAIN, BROKEN = "DEF GAB|c3 d3|]", "D ^ F|"
WRITTEN = {None: PLAIN, 1: "A3 d3|]", 2: BROKEN, 3: "", 4: "é|]"}


@cache
def make_characters() -> TextCodec:
    """One token a character, as models of tunes have them."""
    vocabulary = {token: i for i, token in enumerate((*SPECIAL_TOKENS, *string.printable[:95], "\n", "é"))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return TextCodec(tokenizer)


class FakeComposingEngine(FakeEngine):
    """Writes what its seed says; greedy, and with other seeds, `PLAIN`."""

    def spell(self, request: GenerateRequest) -> list[int]:
        read = request.inputs["prompt_ids"][: request.inputs["prompt_lengths"]].tolist()
        assert (len(read), [*read, request.first_token][0]) == (request.start, make_characters().bos)
        seed = request.search.sampling.seed if request.search.sampling else None
        return make_characters().encode(WRITTEN.get(seed, PLAIN)).ids


def make_composer(
    engine: FakeComposingEngine,
    name: str = "tunes",
    *,
    notation: Notation = "abc",
    ends: bool = True,
    sampling: Sampling | None = DEFAULTS,
    limits: RequestLimits | None = None,
) -> Model[Composer]:
    """A model that goes on from prompts."""
    base = make_bundle(name).manifest
    codec = make_characters()
    signature = GenerateSignature(
        inputs=(
            Tensor(name="prompt_ids", dtype="int64", axes=("rows", "target")),
            Tensor(name="prompt_lengths", dtype="int64", axes=("rows",)),
        ),
        states=(State(name="hidden", dtype="float32", axes=("rows", 4), initial="start"),),
    )
    # What the graphs take is of no account without graphs.
    manifest = base.model_copy(
        update={
            "task": "generate",
            "signature": signature,
            "preprocessing": PromptPreprocessing(tokenizer="tokenizer.json", notation=notation),
            "limits": Limits(target=TARGET_LIMIT),
            "vocabulary_size": codec.vocabulary_size,
            "special": SpecialIds(pad=codec.pad, unk=codec.unk, bos=codec.bos, eos=codec.eos if ends else None),
            "decoding": DecodingDefaults(sampling=sampling),
        }
    )
    bundle = Bundle(_folder(), manifest, manifest.variants[0], "cpu")
    metrics = DecodingMetrics(manifest, "fp32", "cpu")
    return Model(bundle, engine, Composer(bundle, engine, limits), metrics)  # type: ignore[arg-type]


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="seqserve-fake-"))
    atexit.register(shutil.rmtree, folder)
    make_characters().save(folder / "tokenizer.json")
    return folder
