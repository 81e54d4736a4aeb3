"""Small things to export: a vocabulary of words, a tiny trained-looking model and all that is said about it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from contract.manifest import Licence, Limits
from contract.text import SPECIAL_TOKENS, UNK, TextCodec
from export.material import About
from export.text import TextMaterial
from models.architecture import Generator
from models.registry import build, parse

WORDS = [f"w{number}" for number in range(28)]
VOCABULARY = len(SPECIAL_TOKENS) + len(WORDS)
SIZES: dict[str, dict[str, Any]] = {
    "attention_seq2seq": {"embedding_size": 16, "encoder_hidden_size": 16, "hidden_size": 32, "attention_size": 16},
    "conv_seq2seq": {
        "embedding_size": 16,
        "hidden_size": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "max_length": 24,
    },
    "recurrent_seq2seq": {"embedding_size": 16, "encoder_hidden_size": 16, "hidden_size": 32, "cell": "lstm"},
    "transformer": {
        "hidden_size": 32,
        "num_heads": 2,
        "feed_forward_size": 32,
        "encoder_layers": 1,
        "decoder_layers": 1,
        "max_length": 24,
    },
}


def make_codec() -> TextCodec:
    """One id a word."""
    ids = {token: number for number, token in enumerate([*SPECIAL_TOKENS, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return TextCodec(tokenizer)


def make_model(architecture: str) -> Generator:
    """A tiny model whose weights, biases too, are random but always the same."""
    torch.manual_seed(7)
    vocabularies = {"source_vocabulary_size": VOCABULARY, "target_vocabulary_size": VOCABULARY}
    model = build(architecture, parse(architecture, SIZES[architecture] | vocabularies))
    assert isinstance(model, Generator)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


def make_material(architecture: str = "recurrent_seq2seq", examples: int = 12) -> TextMaterial:
    draw = np.random.default_rng(3)
    texts = [" ".join(draw.choice(WORDS, size)) for size in draw.integers(1, 9, examples)]
    return TextMaterial(
        model=make_model(architecture),
        source=make_codec(),
        target=make_codec(),
        examples=[(text, text) for text in texts],
        limits=Limits(source=20, target=24),
        about=About(
            architecture=architecture,
            description="A toy",
            licence=Licence(data="toy words", source="made up", terms="none"),
            training={"seed": 7},
        ),
    )
