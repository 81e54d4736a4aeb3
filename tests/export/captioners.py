"""Captioners as small as can be, one of each kind, with drawn pictures to be judged on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from contract.manifest import Licence, Limits
from export.caption import CaptionMaterial
from export.material import About
from models.data.captions import Picture
from models.data.pictures import find_pictures
from models.image_generator import ImageGenerator
from models.registry import build, parse
from tests.export.toys import VOCABULARY, WORDS, make_codec

DATA = Path(__file__).resolve().parents[1] / "data"
SIDE, REGIONS = 16, 4
_STAGES = [
    {"blocks": 1, "kernel_size": 3, "stride": 2, "expansion": 1, "channels": 8},
    {"blocks": 2, "kernel_size": 5, "stride": 2, "expansion": 2, "channels": 8},
]
_ENCODER = {"image_size": SIDE, "stem_size": 8, "stages": _STAGES, "head_size": 32}
_RECURRENT = {"embedding_size": 16, "hidden_size": 32, "memory_size": 16, "attention_size": 16}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "none": ("captioner", {**_RECURRENT, "attention": "none"}),
    "soft": ("captioner", {**_RECURRENT, "attention": "soft"}),
    "hard": ("captioner", {**_RECURRENT, "attention": "hard", "cell": "gru", "gate": False}),
    "transformer": (
        "transformer_captioner",
        {"hidden_size": 32, "num_heads": 2, "feed_forward_size": 32, "decoder_layers": 1, "max_length": 12},
    ),
}
"""Kind → architecture and sizes."""


def make_captioner(kind: str) -> ImageGenerator:
    """A tiny captioner whose weights, biases too, are random but always the same."""
    torch.manual_seed(7)
    name, sizes = KINDS[kind]
    model = build(name, parse(name, {**sizes, "encoder": _ENCODER, "target_vocabulary_size": VOCABULARY}))
    assert isinstance(model, ImageGenerator)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


def make_caption_material(kind: str) -> CaptionMaterial:
    """The drawn pictures, captioned with words that mean nothing."""
    files = sorted(find_pictures(("pictures/train.tar", "pictures/loose"), DATA).items())
    captions = [tuple(f"{WORDS[number]} {word}" for word in WORDS[:2]) for number in range(len(files))]
    return CaptionMaterial(
        model=make_captioner(kind),
        limits=Limits(target=12),
        about=About(
            architecture=KINDS[kind][0],
            description="A toy",
            licence=Licence(data="toy pictures", source="drawn", terms="none"),
        ),
        target=make_codec(),
        fit="crop",
        examples=[Picture(*file, said) for file, said in zip(files, captions, strict=True)],
    )
