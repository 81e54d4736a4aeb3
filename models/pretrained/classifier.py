"""A classifier of another kind than BERT to start from."""

from __future__ import annotations

from torch import Tensor

from contract.text import InputCodec
from models.architecture import Architecture
from models.classifier import HEAD, Classifier
from models.pretrained.pretrained import PretrainedText
from models.registry import ConfigError


class PretrainedClassifier(PretrainedText):
    """All that a classifier learnt but its last layer, for a model of the same architecture."""

    def give(self, model: Architecture) -> None:
        wanted = {name: value.shape for name, value in _without_head(model).items()}
        if wanted != {name: value.shape for name, value in self.weights.items()}:
            raise ConfigError(f"{type(model).__name__} has other parameters than the run that it starts from")
        model.load_state_dict(self.weights, strict=False)


def take(model: Classifier, codec: InputCodec) -> PretrainedClassifier:
    """All of a classifier but its last layer."""
    return PretrainedClassifier(_without_head(model), codec)


def _without_head(model: Architecture) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if not name.startswith(HEAD)}
