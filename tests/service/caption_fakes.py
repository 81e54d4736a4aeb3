"""A captioner without a model: what it says, and what it looks at, can be told by hand."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.images import Fit
from contract.manifest import Limits, Manifest
from contract.preprocessing import ImagePreprocessing
from contract.signature import Attention, GenerateSignature, State, Tensor
from service.kinds import Model
from service.metrics import DecodingMetrics
from service.runtime.bundle import Bundle
from service.runtime.requests import Array, GenerateRequest
from service.tasks.caption import Captioner
from service.tasks.limits import RequestLimits
from tests.service.fakes import SENTENCES, FakeEngine, make_bundle, make_codec

SIZE, GRID, TARGET_LIMIT = 32, (2, 3), 40
REGIONS = GRID[0] * GRID[1]
COLOURS = ("black", "red", "lime", "yellow")


class FakeCaptionEngine(FakeEngine):
    """Says one of four sentences, by whether a picture has red and green; looks at one region after the other."""

    def spell(self, request: GenerateRequest) -> list[int]:
        red, green, _ = request.inputs["pixels"].mean(axis=(0, 1)) > 100
        return make_codec().encode(SENTENCES[int(red) + 2 * int(green)]).ids

    def explain(self, inputs: Mapping[str, Array], token_ids: list[list[int]]) -> NDArray[np.float32]:
        turns = np.eye(REGIONS, dtype=np.float32)[np.arange(max(map(len, token_ids)) + 1) % REGIONS]
        return np.repeat(turns[None], len(token_ids), axis=0)


def make_captioner(
    engine: FakeCaptionEngine,
    name: str = "seer",
    *,
    attention: bool = True,
    fit: Fit = "squeeze",
    limits: RequestLimits | None = None,
) -> Model[Captioner]:
    """A model that captions."""
    bundle = make_bundle(name)
    captioning = Bundle(bundle.folder, _manifest(bundle.manifest, fit, attention=attention), bundle.variant, "cpu")
    metrics = DecodingMetrics(captioning.manifest, "fp32", "cpu")
    return Model(captioning, engine, Captioner(captioning, engine, limits), metrics)  # type: ignore[arg-type]


def _manifest(base: Manifest, fit: Fit, *, attention: bool) -> Manifest:
    signature = GenerateSignature(
        inputs=(Tensor(name="pixels", dtype="uint8", axes=("rows", SIZE, SIZE, 3)),),
        states=(State(name="hidden", dtype="float32", axes=("rows", 4), initial="start"),),
        attention=Attention(axes=("target", REGIONS)) if attention else None,
        explain="explain" if attention else None,
    )
    preprocessing = ImagePreprocessing(size=SIZE, fit=fit, grid=GRID, target_tokenizer="tokenizer.json")
    # What the graphs take is of no account without graphs.
    return base.model_copy(
        update={
            "task": "caption",
            "signature": signature,
            "preprocessing": preprocessing,
            "limits": Limits(target=TARGET_LIMIT),
        }
    )


def plain(colour: str, width: int = 60, height: int = 40, form: str = "PNG") -> bytes:
    """The file of a picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, form)
    return file.getvalue()
