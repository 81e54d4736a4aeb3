"""Training of a classifier: cross-entropy and what the architecture adds to it, judged by accuracy."""

from __future__ import annotations

from itertools import count
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from models.classifier import Classifier
from models.tasks.classify.config import ClassifyTraining
from models.training.data import RowBatch
from models.training.module import TrainingModule, weight_groups


class ClassifyModule(TrainingModule):
    """Logs `train_loss`, `validation_loss` and `validation_accuracy` (in points)."""

    model: Classifier

    def __init__(self, model: Classifier, config: ClassifyTraining, *, seed: int, total_steps: int) -> None:
        super().__init__(model, config, seed=seed, total_steps=total_steps)
        self.smoothing = config.label_smoothing
        self.layer_decay = config.layer_decay

    def parameter_groups(self) -> list[dict[str, Any]]:
        """By stages of the model, each learning more slowly than the one after it (Howard and Ruder 2018)."""
        rates = (self.training_config.learning_rate * self.layer_decay**depth for depth in count())
        stages = zip(self.model.stages(), rates, strict=False)
        return [group for stage, rate in stages for group in weight_groups(stage, lr=rate)]

    def training_step(self, batch: RowBatch, _index: int) -> Tensor:
        labels = batch.tensors["labels"]
        logits, penalty = self.model.classify(batch.tensors)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=self.smoothing)
        if penalty is not None:
            loss = loss + penalty.float().mean()
        self.log_mean("train_loss", loss, rows=len(labels), bar=True)
        return loss

    def validation_step(self, batch: RowBatch, _index: int) -> None:
        labels = batch.tensors["labels"]
        with torch.autocast(self.device.type, enabled=False):  # what is exported first is fp32
            scores = self.model(batch.tensors)["scores"]
        self.log_mean("validation_loss", F.nll_loss(scores, labels), rows=len(labels))
        accuracy = (scores.argmax(dim=-1) == labels).float().mean() * 100
        self.log_mean("validation_accuracy", accuracy, rows=len(labels), bar=True)
