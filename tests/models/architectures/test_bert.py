from __future__ import annotations

from typing import Any

import pytest
import torch

from models.architecture import Architecture
from models.registry import ConfigError, build, parse
from tests.predict_battery import VOCABULARY, PredictBattery

SIZES = {"hidden_size": 16, "feed_forward_size": 24, "dropout": 0.0, "max_length": 32}


class TestBert(PredictBattery):
    task = "classify"
    architecture = "bert"
    vocabularies = {"vocabulary_size": VOCABULARY, "label_count": 3}
    sizes = SIZES
    axes = {"pooling": ("mean", "first"), "num_heads": (4, 1), "num_layers": (1, 2)}


class TestMaskedLanguageModel(PredictBattery):
    """What it scores at each position are tokens, as a tagger's are tags."""

    task = "tag"
    architecture = "masked_language_model"
    vocabularies = {"vocabulary_size": VOCABULARY}
    sizes = SIZES
    axes = {"num_heads": (4, 1), "num_layers": (1, 2)}


def create(name: str, **fields: Any) -> Architecture:
    torch.manual_seed(0)
    return build(name, parse(name, {"vocabulary_size": 9, "num_heads": 2, **SIZES, **fields})).eval()


def test_pooling_takes_the_first_hidden_state_or_the_mean_of_the_real_ones() -> None:
    inputs = {"source_ids": torch.tensor([[2, 5, 7], [3, 4, 0]]), "source_lengths": torch.tensor([3, 2])}
    for pooling in ("first", "mean"):
        model = create("bert", label_count=2, pooling=pooling)
        with torch.no_grad():
            hidden = model.encoder(inputs["source_ids"], inputs["source_lengths"])[1]
            pooled = hidden[0] if pooling == "first" else (hidden[0] + hidden[1]) / 2
            expected = model.output(pooled).log_softmax(dim=0)
            torch.testing.assert_close(model(inputs)["scores"][1], expected)


def test_guesses_are_scored_by_the_embeddings_themselves() -> None:
    model = create("masked_language_model")
    assert {name for name, _ in model.named_parameters() if "encoder" not in name} == {
        "transform.weight",
        "transform.bias",
        "norm.weight",
        "norm.bias",
        "bias",
    }
    hidden = torch.randn(4, 16)
    with torch.no_grad():
        before = model.guess(hidden)
        model.encoder.token_embedding.weight[3] *= 2
        model.bias[3] += 1
        after = model.guess(hidden)
    torch.testing.assert_close(after[:, 3], 2 * before[:, 3] + 1)
    assert torch.equal(after[:, :3], before[:, :3])


def test_heads_must_divide_the_hidden_size() -> None:
    with pytest.raises(ConfigError, match="hidden_size 16 must be divisible by num_heads 3"):
        create("bert", label_count=2, num_heads=3)
