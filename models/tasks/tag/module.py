"""Training of a tagger: the loss of its tags, judged by the entities that they spell."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from contract.tags import spans
from models.data.tagged import Span
from models.tagger import TAGS, Tagger
from models.tasks.tag.config import TagTraining
from models.tasks.tag.scores import entity_scores
from models.training.data import RowBatch
from models.training.module import TrainingModule


class TagModule(TrainingModule):
    """Logs `train_loss`, `validation_loss` (nats a word) and `validation_f1` of entities, decoded as a service does."""

    model: Tagger

    def __init__(self, model: Tagger, config: TagTraining, *, seed: int, total_steps: int) -> None:
        super().__init__(model, config, seed=seed, total_steps=total_steps)
        self._predicted: list[Sequence[Span]] = []
        self._gold: list[Sequence[Span]] = []

    def training_step(self, batch: RowBatch, _index: int) -> Tensor:
        loss = self._loss(batch)
        self.log_mean("train_loss", loss, rows=_words(batch), bar=True)
        return loss

    def validation_step(self, batch: RowBatch, _index: int) -> None:
        self.log_mean("validation_loss", self._loss(batch), rows=_words(batch))
        with torch.autocast(self.device.type, enabled=False):  # what is exported first is fp32
            emissions = self.model(batch.tensors)["emissions"].cpu().numpy()
        tag_set = self.model.tag_set()
        lengths, labels = (batch.tensors[name].tolist() for name in ("source_lengths", TAGS.name))
        for row, length, label in zip(emissions, lengths, labels, strict=True):
            path, _ = tag_set.decode(row[:length])
            for kept, ids in ((self._predicted, path), (self._gold, label[:length])):
                kept.append(spans([tag_set.tags[tag] for tag in ids]))

    def on_validation_epoch_end(self) -> None:
        self.log_mean("validation_f1", entity_scores(self._predicted, self._gold)["f1"], rows=1, bar=True)
        self._predicted, self._gold = [], []

    def _loss(self, batch: RowBatch) -> Tensor:
        return self.model.loss(batch.tensors, batch.tensors[TAGS.name])


def _words(batch: RowBatch) -> int:
    return int(batch.tensors["source_lengths"].sum())
