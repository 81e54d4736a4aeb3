"""Training of an answerer: cross-entropy, with a linear start, judged by how many questions it answers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.answerer import Answerer
from models.tasks.answer.config import AnswerTraining
from models.tasks.answer.data import ANSWER, UNKNOWN
from models.training.data import RowBatch
from models.training.module import TrainingModule

LINEAR_RATE = 0.5
"""Share of the learning rate while attention is linear, as in the paper: without a softmax, steps grow too large."""


class AnswerModule(TrainingModule):
    """Logs `train_loss`, `validation_loss` and `validation_accuracy` (in points), the latter with the softmax."""

    model: Answerer
    training_config: AnswerTraining

    def rate(self, step: int) -> float:
        linear = step < self.total_steps * self.training_config.linear_epochs / self.training_config.epochs
        return super().rate(step) * (LINEAR_RATE if linear else 1)

    def training_step(self, batch: RowBatch, _index: int) -> Tensor:
        answers = batch.tensors[ANSWER.name]
        linear = self.current_epoch < self.training_config.linear_epochs
        loss = F.cross_entropy(self.model.answer(batch.tensors, linear=linear).float(), answers)
        self.log_mean("train_loss", loss, rows=len(answers), bar=True)
        return loss

    def validation_step(self, batch: RowBatch, _index: int) -> None:
        answers = batch.tensors[ANSWER.name]
        with torch.autocast(self.device.type, enabled=False):  # what is exported first is fp32
            scores = self.model(batch.tensors)["scores"]
        if answerable := int(answers.ne(UNKNOWN).sum()):  # the mean of none is no number
            loss = F.nll_loss(scores, answers, ignore_index=UNKNOWN)
            self.log_mean("validation_loss", loss, rows=answerable)
        accuracy = (scores.argmax(dim=-1) == answers).float().mean() * 100
        self.log_mean("validation_accuracy", accuracy, rows=len(answers), bar=True)
