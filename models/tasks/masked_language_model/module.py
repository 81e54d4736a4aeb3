"""Pretraining of a masked language model: cross-entropy of the hidden tokens, judged by how many are guessed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.architectures.masked_language_model import MaskedLanguageModel
from models.training.data import RowBatch
from models.training.module import TrainingModule


class MaskedLanguageModule(TrainingModule):
    """Logs `train_loss`, `validation_loss` and `validation_accuracy` (of the hidden tokens, in points)."""

    model: MaskedLanguageModel

    def training_step(self, batch: RowBatch, _index: int) -> Tensor:
        logits, hidden = guess_hidden(self.model, batch)
        loss = F.cross_entropy(logits.float(), hidden)
        self.log_mean("train_loss", loss, rows=len(hidden), bar=True)
        return loss

    def validation_step(self, batch: RowBatch, _index: int) -> None:
        with torch.autocast(self.device.type, enabled=False):
            logits, hidden = guess_hidden(self.model, batch)
        self.log_mean("validation_loss", F.cross_entropy(logits, hidden), rows=len(hidden))
        accuracy = (logits.argmax(dim=-1) == hidden).float().mean() * 100
        self.log_mean("validation_accuracy", accuracy, rows=len(hidden), bar=True)


def guess_hidden(model: MaskedLanguageModel, batch: RowBatch) -> tuple[Tensor, Tensor]:
    """Logits `[guessed, vocabulary]` of the hidden tokens of a batch, and which they are, `[guessed]`.

    Only they go through the head, whose last matrix is as large as the vocabulary.
    """
    tensors = batch.tensors
    hidden = tensors["labels"] > 0
    states = model.encoder(tensors["source_ids"], tensors["source_lengths"])
    return model.guess(states[hidden]), tensors["labels"][hidden]
