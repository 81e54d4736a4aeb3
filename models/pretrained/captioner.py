"""A captioner to start from: the whole of it for a model of the same sizes, else its encoder."""

from __future__ import annotations

from dataclasses import dataclass

from contract.text import TextCodec
from models.architecture import Architecture
from models.image_generator import ImageGenerator
from models.pretrained import efficientnet
from models.pretrained.pretrained import Pretrained


@dataclass(frozen=True)
class PretrainedCaptioner(Pretrained):
    """All that a captioner learnt.

    Attributes:
        codec: the tokens that it writes.
        encoder: that part of it which reads pictures.
    """

    codec: TextCodec
    encoder: efficientnet.PretrainedEfficientNet

    def give(self, model: Architecture) -> None:
        ours = {name: value.shape for name, value in model.state_dict().items()}
        if ours == {name: value.shape for name, value in self.weights.items()}:
            model.load_state_dict(self.weights)
        else:
            self.encoder.give(model)


def take(model: ImageGenerator, codec: TextCodec) -> PretrainedCaptioner:
    """What a captioner learnt."""
    return PretrainedCaptioner(model.state_dict(), codec, efficientnet.take(model))
