"""Training of a model that draws: cross-entropy of intensities, judged by their likelihood."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from models.pixel_generator import PixelGenerator
from models.tasks.complete_image.data import PixelBatch
from models.training.config import TrainingConfig
from models.training.loss import smoothed_cross_entropy
from models.training.module import TrainingModule

_NONE = -100
"""No label: every channel of every pixel is learnt."""


class PixelModule(TrainingModule):
    """Logs `train_loss` and `validation_loss` (nats a channel of a pixel) and `validation_likelihood` (in points).

    The likelihood is the geometric mean of the probability of the right intensity.
    """

    model: PixelGenerator

    def __init__(self, model: PixelGenerator, config: TrainingConfig, *, seed: int, total_steps: int) -> None:
        super().__init__(model, config, seed=seed, total_steps=total_steps)
        self._loss, self._pictures = 0.0, 0

    def training_step(self, batch: PixelBatch, _index: int) -> Tensor:
        loss = mean_loss(self.model, batch)
        self.log_mean("train_loss", loss, rows=len(batch.labels), bar=True)
        return loss

    def validation_step(self, batch: PixelBatch, _index: int) -> None:
        with torch.autocast(self.device.type, enabled=False):  # what is exported first is fp32
            self._loss += float(mean_loss(self.model, batch)) * len(batch.labels)
        self._pictures += len(batch.labels)

    def on_validation_epoch_end(self) -> None:
        loss = self._loss / self._pictures
        self.log_mean("validation_loss", loss, rows=1)
        self.log_mean("validation_likelihood", likelihood(loss), rows=1, bar=True)
        self._loss, self._pictures = 0.0, 0


def mean_loss(model: PixelGenerator, batch: PixelBatch) -> Tensor:
    """Mean negative log-likelihood of a channel of a pixel, in nats."""
    logits = model.teach(batch.inputs, batch.target_ids)
    return smoothed_cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), smoothing=0.0, ignored=_NONE)


def likelihood(loss: float) -> float:
    """Geometric mean of the probability of the right intensity, in points, from the mean loss in nats."""
    return 100 * math.exp(-loss)


def bits_per_dimension(loss: float) -> float:
    """What the field reports: bits that a channel of a pixel takes, of 8, from the mean loss in nats."""
    return loss / math.log(2)
