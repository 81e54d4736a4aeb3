"""Language models as small as can be, with tunes to be judged on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from contract.manifest import Licence, Limits
from contract.preprocessing import Notation
from export.material import About
from export.writing import CharacterMaterial
from models.data.characters import learn_characters
from models.data.tunes import read_tunes
from models.prompt_generator import PromptGenerator
from models.registry import build, parse

DATA = Path(__file__).resolve().parents[1] / "data"
LONGEST = 80
SIZES: dict[str, dict[str, Any]] = {
    "recurrent_generator": {"embedding_size": 16, "hidden_size": 32, "layers": 2, "share_embeddings": True},
    "transformer_decoder": {
        "hidden_size": 32,
        "num_heads": 2,
        "feed_forward_size": 32,
        "layers": 2,
        "max_length": LONGEST,
    },
}


def make_writer(architecture: str, vocabulary_size: int) -> PromptGenerator:
    """A tiny model whose weights, biases too, are random but always the same."""
    torch.manual_seed(7)
    model = build(architecture, parse(architecture, SIZES[architecture] | {"vocabulary_size": vocabulary_size}))
    assert isinstance(model, PromptGenerator)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


def make_writing_material(architecture: str, notation: Notation = "abc") -> CharacterMaterial:
    """Tunes with an end, or the same as text without."""
    texts = [tune.written() for tune in read_tunes(DATA / "tunes" / "validation.abc")]
    codec = learn_characters(texts)
    ending = [codec.eos] if notation == "abc" else []
    return CharacterMaterial(
        model=make_writer(architecture, codec.vocabulary_size),
        limits=Limits(target=LONGEST),
        about=About(
            architecture=architecture,
            description="A toy",
            licence=Licence(data="toy tunes", source="made up", terms="none"),
        ),
        codec=codec,
        notation=notation,
        sequences=[[*codec.encode(text).ids, *ending] for text in texts if len(text) < LONGEST][:6],
    )
