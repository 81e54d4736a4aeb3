from __future__ import annotations

from tests.recommend_battery import RecommendBattery


class TestGru4Rec(RecommendBattery):
    architecture = "gru4rec"
    sizes = {"hidden_size": 12, "dropout": 0.0, "embedding_dropout": 0.0}
    axes = {
        "cell": ("gru", "lstm", "rnn"),
        "normalise": (True, False),
        "state_size": (12, 16),
        "num_layers": (1, 2),
    }
