from __future__ import annotations

import numpy as np
import torch

from models.architectures.narm import Narm, NarmConfig
from tests.recommend_battery import RecommendBattery


class TestNarm(RecommendBattery):
    architecture = "narm"
    sizes = {"hidden_size": 12, "dropout": 0.0, "embedding_dropout": 0.0}
    axes = {"normalise": (True, False), "state_size": (12, 16), "num_layers": (1, 2)}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_the_equations_are_those_of_the_paper() -> None:
    torch.manual_seed(0)
    model = Narm(NarmConfig(item_count=9, hidden_size=4, state_size=5, normalise=False)).eval()
    torch.nn.init.normal_(model.session_attention.score.weight)
    inputs = {"item_ids": torch.tensor([[3, 1, 4, 1]]), "item_counts": torch.tensor([4])}
    with torch.no_grad():
        states = model.network(model.vectors(inputs["item_ids"]), inputs["item_counts"])[0][0].numpy()
        scores = model.scores(inputs)[0].numpy()
        attention = model.explain(inputs)["attention"][0].numpy()
    first, second, v, bilinear, table = (
        weight.detach().numpy()
        for weight in (
            model.query.weight,
            model.key.weight,
            model.session_attention.score.weight[0],
            model.decoder.weight,
            model.table(),
        )
    )
    weights = [v @ sigmoid(first @ states[-1] + second @ state) for state in states]
    context = np.concatenate([states[-1], sum(w * state for w, state in zip(weights, states, strict=True))])
    np.testing.assert_allclose(attention, weights, rtol=1e-5)
    np.testing.assert_allclose(scores, [item @ bilinear @ context for item in table], rtol=1e-4, atol=1e-6)
