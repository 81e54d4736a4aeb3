from __future__ import annotations

import numpy as np
import torch

from models.architectures.stamp import Stamp, StampConfig
from tests.recommend_battery import RecommendBattery


class TestStamp(RecommendBattery):
    architecture = "stamp"
    sizes = {"hidden_size": 12, "dropout": 0.0, "embedding_dropout": 0.0}
    axes = {"normalise": (True, False)}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_the_equations_are_those_of_the_paper() -> None:
    torch.manual_seed(0)
    model = Stamp(StampConfig(item_count=9, hidden_size=4, normalise=False)).eval()
    torch.nn.init.normal_(model.session_attention.score.weight)
    inputs = {"item_ids": torch.tensor([[3, 1, 4, 1]]), "item_counts": torch.tensor([4])}
    with torch.no_grad():
        x = model.vectors(inputs["item_ids"])[0].numpy()
        scores = model.scores(inputs)[0].numpy()
        attention = model.explain(inputs)["attention"][0].numpy()
    weight = {name: p.detach().numpy() for name, p in model.named_parameters()}
    mean, last = x.mean(axis=0), x[-1]
    score = weight["session_attention.score.weight"][0]
    common = weight["from_last.weight"] @ last + weight["from_mean.weight"] @ mean + weight["from_last.bias"]
    weights = [score @ sigmoid(weight["key.weight"] @ item + common) for item in x]
    long_term = sum(w * item for w, item in zip(weights, x, strict=True))
    h_s = np.tanh(weight["long_term.weight"] @ long_term + weight["long_term.bias"])
    h_t = np.tanh(weight["short_term.weight"] @ last + weight["short_term.bias"])
    np.testing.assert_allclose(attention, weights, rtol=1e-5)
    np.testing.assert_allclose(scores, weight["items.weight"] @ (h_s * h_t), rtol=1e-4, atol=1e-6)
