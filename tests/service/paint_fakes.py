"""Painters without a model: what they draw can be told from what they read and from the seed."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from contract.images import Pixels
from contract.manifest import DecodingDefaults, Limits, Sampling, SpecialIds
from contract.pixels import BOS_ID, LEVELS
from contract.preprocessing import CHANNELS, PixelPreprocessing
from contract.signature import GenerateSignature, State, Tensor
from service.kinds import Model
from service.metrics import DecodingMetrics
from service.runtime.bundle import Bundle
from service.runtime.requests import GenerateRequest
from service.tasks.limits import RequestLimits
from service.tasks.paint import Completer, Upscaler
from tests.service.fakes import FakeEngine, make_bundle

SIZE, SOURCE_SIZE = 16, 4
TOKENS = CHANNELS * SIZE**2
_STATE = State(name="hidden", dtype="float32", axes=("rows", 4), initial="start")
_PROMPT = (
    Tensor(name="prompt_ids", dtype="int64", axes=("rows", "target")),
    Tensor(name="prompt_lengths", dtype="int64", axes=("rows",)),
)
_SMALL = (Tensor(name="pixels", dtype="uint8", axes=("rows", SOURCE_SIZE, SOURCE_SIZE, 3)),)


class FakePaintingEngine(FakeEngine):
    """Draws the seed, modulo 256, over and over; greedy, the first intensity that it reads."""

    def spell(self, request: GenerateRequest) -> list[int]:
        first = int(request.inputs.get("pixels", request.inputs.get("prompt_ids")).ravel()[-1])  # type: ignore[union-attr]
        sampling = request.search.sampling
        return [(sampling.seed if sampling else first) % LEVELS] * request.search.max_length


def make_completer(engine: FakePaintingEngine, limits: RequestLimits | None = None) -> Model[Completer]:
    """A model that draws the lower part of pictures."""
    bundle = _bundle("complete-image", "painter", GenerateSignature(inputs=_PROMPT, states=(_STATE,)), None)
    return Model(bundle, engine, Completer(bundle, engine, limits), _metrics(bundle))  # type: ignore[arg-type]


def make_upscaler(engine: FakePaintingEngine, limits: RequestLimits | None = None) -> Model[Upscaler]:
    """A model that draws pictures anew from a few of their pixels."""
    bundle = _bundle("upscale", "sharpener", GenerateSignature(inputs=_SMALL, states=(_STATE,)), SOURCE_SIZE)
    return Model(bundle, engine, Upscaler(bundle, engine, limits), _metrics(bundle))  # type: ignore[arg-type]


def picture_of(reply: dict[str, str]) -> Pixels:
    """The pixels of a picture that was replied."""
    with Image.open(io.BytesIO(base64.b64decode(reply["image"])), formats=("PNG",)) as image:
        return np.asarray(image)


def _bundle(task: str, name: str, signature: GenerateSignature, source_size: int | None) -> Bundle:
    base = make_bundle(name)
    # What the graphs take is of no account without graphs.
    manifest = base.manifest.model_copy(
        update={
            "task": task,
            "signature": signature,
            "preprocessing": PixelPreprocessing(size=SIZE, fit="squeeze", source_size=source_size),
            "limits": Limits(target=TOKENS),
            "vocabulary_size": LEVELS,
            "special": SpecialIds(pad=0, unk=0, bos=BOS_ID),
            "decoding": DecodingDefaults(sampling=Sampling(temperature=0.9)),
        }
    )
    return Bundle(base.folder, manifest, base.variant, "cpu")


def _metrics(bundle: Bundle) -> DecodingMetrics:
    return DecodingMetrics(bundle.manifest, "fp32", "cpu")
