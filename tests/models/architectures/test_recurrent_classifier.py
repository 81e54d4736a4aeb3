from __future__ import annotations

from tests.predict_battery import VOCABULARY, PredictBattery


class TestRecurrentClassifier(PredictBattery):
    task = "classify"
    architecture = "recurrent_classifier"
    vocabularies = {"vocabulary_size": VOCABULARY, "label_count": 3}
    sizes = {
        "embedding_size": 12,
        "hidden_size": 12,
        "attention_size": 8,
        "dropout": 0.0,
        "embedding_dropout": 0.0,
    }
    axes = {
        "cell": ("lstm", "gru", "rnn"),
        "pooling": ("max", "mean", "last", "attention"),
        "bidirectional": (True, False),
        "layers": (1, 2),
    }
