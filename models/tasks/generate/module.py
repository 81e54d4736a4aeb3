"""Training of a language model: cross-entropy, judged by the likelihood of a token."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from contract.text import PAD_ID
from models.prompt_generator import PromptGenerator
from models.tasks.generate.data import WrittenBatch
from models.training.config import TrainingConfig
from models.training.loss import smoothed_cross_entropy
from models.training.module import TrainingModule
from models.training.task import check_positions


class GenerateModule(TrainingModule):
    """Logs `train_loss` and `validation_loss` (nats a token), and `validation_likelihood` (of a token, in points)."""

    model: PromptGenerator

    def __init__(self, model: PromptGenerator, config: TrainingConfig, *, seed: int, total_steps: int) -> None:
        super().__init__(model, config, seed=seed, total_steps=total_steps)
        self._loss, self._tokens = 0.0, 0

    def training_step(self, batch: WrittenBatch, _index: int) -> Tensor:
        logits = self.model.read(batch.target_ids)
        loss = smoothed_cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), smoothing=0.0, ignored=PAD_ID)
        self.log_mean("train_loss", loss, rows=len(batch.labels), bar=True)
        return loss

    def validation_step(self, batch: WrittenBatch, _index: int) -> None:
        with torch.autocast(self.device.type, enabled=False):  # what is exported first is fp32
            loss, tokens = total_loss(self.model, batch)
        self._loss += loss
        self._tokens += tokens

    def on_validation_epoch_end(self) -> None:
        loss = self._loss / self._tokens
        self.log_mean("validation_loss", loss, rows=1)
        self.log_mean("validation_likelihood", likelihood(loss), rows=1, bar=True)
        self._loss, self._tokens = 0.0, 0


def total_loss(model: PromptGenerator, batch: WrittenBatch) -> tuple[float, int]:
    """Sum of the negative log-likelihoods of all tokens in a batch, in nats, and how many there are.

    Raises:
        ConfigError: the model has not so many positions as the longest text has tokens.
    """
    check_positions(model, batch.target_ids.shape[1], "what a text that is judged has of tokens,")
    logits = model.read(batch.target_ids)
    loss = F.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), ignore_index=PAD_ID, reduction="sum")
    return float(loss), int(batch.labels.ne(PAD_ID).sum())


def likelihood(loss: float) -> float:
    """Geometric mean of the probability of the token that came, in points, from the mean loss in nats."""
    return 100 * math.exp(-loss)
