from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.architectures.self_attentive import SelfAttentive, SelfAttentiveConfig, hop_penalty
from tests.predict_battery import VOCABULARY, PredictBattery


class TestSelfAttentive(PredictBattery):
    task = "classify"
    architecture = "self_attentive"
    vocabularies = {"vocabulary_size": VOCABULARY, "label_count": 3}
    sizes = {
        "embedding_size": 12,
        "hidden_size": 12,
        "attention_size": 8,
        "output_size": 12,
        "dropout": 0.0,
        "embedding_dropout": 0.0,
    }
    axes = {"cell": ("lstm", "gru", "rnn"), "hops": (3, 1), "layers": (1, 2)}

    @classmethod
    def loss(cls, model: SelfAttentive, inputs: Mapping[str, Tensor], targets: Tensor) -> Tensor:
        """Cross-entropy with the penalty, as training has it."""
        logits, penalty = model.classify(inputs)
        loss = F.cross_entropy(logits, targets)
        return loss if penalty is None else loss + penalty.mean()


def test_the_penalty_is_the_squared_frobenius_norm_of_the_papers_formula() -> None:
    weights = torch.rand(2, 3, 5, dtype=torch.float64).softmax(dim=-1).numpy()
    expected = [np.linalg.norm(a @ a.T - np.eye(3), "fro") ** 2 for a in weights]
    np.testing.assert_allclose(hop_penalty(torch.from_numpy(weights)).numpy(), expected)


def test_hops_on_different_words_cost_nothing_and_on_the_same_word_much() -> None:
    apart, alike = torch.eye(3)[None], torch.eye(3)[:1].expand(1, 3, 3)
    assert hop_penalty(apart).tolist() == [0]
    assert hop_penalty(alike).tolist() == [6]


def test_the_penalty_is_weighted_and_for_training_only() -> None:
    torch.manual_seed(0)
    config = SelfAttentiveConfig(vocabulary_size=9, label_count=2, penalty=0.5, dropout=0, embedding_dropout=0)
    model = SelfAttentive(config)
    inputs = {"source_ids": torch.tensor([[3, 4, 5], [6, 7, 0]]), "source_lengths": torch.tensor([3, 2])}
    _, penalty = model.classify(inputs)
    assert penalty is not None
    torch.testing.assert_close(penalty, 0.5 * hop_penalty(model.explain(inputs)["attention"]))
    assert model.eval().classify(inputs)[1] is None
