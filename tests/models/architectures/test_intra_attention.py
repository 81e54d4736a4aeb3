from __future__ import annotations

from tests.predict_battery import VOCABULARY, PredictBattery


class TestIntraAttention(PredictBattery):
    task = "classify"
    architecture = "intra_attention"
    vocabularies = {"vocabulary_size": VOCABULARY, "label_count": 3}
    sizes = {
        "embedding_size": 12,
        "hidden_size": 12,
        "attention_size": 8,
        "output_size": 12,
        "dropout": 0.0,
        "embedding_dropout": 0.0,
    }
    axes = {}
