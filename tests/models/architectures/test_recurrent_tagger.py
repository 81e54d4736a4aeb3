from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from models.tagger import Tagger
from tests.predict_battery import VOCABULARY, PredictBattery

TAGS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")


class TestRecurrentTagger(PredictBattery):
    task = "tag"
    architecture = "recurrent_tagger"
    vocabularies = {
        "source_vocabulary_size": VOCABULARY,
        "character_vocabulary_size": VOCABULARY,
        "tags": TAGS,
    }
    sizes = {
        "embedding_size": 12,
        "hidden_size": 12,
        "character_embedding_size": 6,
        "character_size": 8,
        "dropout": 0.0,
        "word_dropout": 0.0,
    }
    axes = {
        "cell": ("lstm", "gru", "rnn"),
        "characters": ("convolution", "recurrent", "none"),
        "bidirectional": (True, False),
        "crf": (True, False),
        "layers": (1, 2),
    }

    @classmethod
    def loss(cls, model: Tagger, inputs: Mapping[str, Tensor], targets: Tensor) -> Tensor:
        """The tagger's own, in which the transitions take part."""
        return model.loss(inputs, targets.clamp_min(0))

    @classmethod
    def _lesson(cls, model: Tagger) -> tuple[dict[str, Tensor], Tensor]:
        """Tags that may stand anywhere: a new entity at each word."""
        inputs, targets = super()._lesson(model)
        begins = 1 + 2 * (inputs["source_ids"] % (len(TAGS) // 2))
        return inputs, torch.where(targets < 0, targets, begins)
