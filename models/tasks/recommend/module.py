"""Training of a recommender on all positions of its sessions at once, judged by Recall@20 and MRR@20."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.recommender import Recommender
from models.tasks.recommend.config import RecommendTraining
from models.tasks.recommend.data import FOLLOWING
from models.training.data import RowBatch
from models.training.linear_loss import linear_cross_entropy
from models.training.module import TrainingModule
from models.training.negatives import Negatives
from models.training.ranking_loss import ranking_loss

CUTOFF = 20
RANKED_AT_ONCE = 128
"""Positions whose scores of the whole catalogue are held at once."""


class RecommendModule(TrainingModule):
    """Logs `train_loss`, `validation_loss`, `validation_recall` and `validation_mrr` (both at 20, in points).

    Args:
        model: what is trained.
        config: the loss and its schedule.
        frequencies: `[item_count]`, how often each item is a target.
        seed: of the run.
        total_steps: of the run.
    """

    model: Recommender
    training_config: RecommendTraining

    def __init__(
        self, model: Recommender, config: RecommendTraining, frequencies: Tensor, *, seed: int, total_steps: int
    ) -> None:
        super().__init__(model, config, seed=seed, total_steps=total_steps)
        self.negatives = Negatives(frequencies, config.negatives) if config.negatives else None

    def training_step(self, batch: RowBatch, _index: int) -> Tensor:
        following = batch.tensors[FOLLOWING.name]
        wanted = following.ne(0)
        loss = self._loss(batch, following[wanted], wanted)
        self.log_mean("train_loss", loss, rows=int(wanted.sum()), bar=True)
        return loss

    def validation_step(self, batch: RowBatch, _index: int) -> None:
        following = batch.tensors[FOLLOWING.name]
        wanted = following.ne(0)
        labels = following[wanted]
        with torch.autocast(self.device.type, enabled=False):  # what is exported first is fp32
            table = self.model.table()
            sessions = self._represent(batch, batch.tensors["item_ids"], table)[wanted]
            losses, ranks = zip(
                *(
                    _rank(part, table, label)
                    for part, label in zip(sessions.split(RANKED_AT_ONCE), labels.split(RANKED_AT_ONCE), strict=True)
                ),
                strict=True,
            )
        rank = torch.cat(ranks)
        hit = rank.le(CUTOFF).float()
        self.log_mean("validation_loss", torch.cat(losses).mean(), rows=len(labels))
        self.log_mean("validation_recall", 100 * hit.mean(), rows=len(labels), bar=True)
        self.log_mean("validation_mrr", 100 * (hit / rank).mean(), rows=len(labels), bar=True)

    def _represent(self, batch: RowBatch, item_ids: Tensor, table: Tensor) -> Tensor:
        return self.model.represent(item_ids, batch.tensors["item_counts"], table)

    def _loss(self, batch: RowBatch, labels: Tensor, wanted: Tensor) -> Tensor:
        config, item_ids = self.training_config, batch.tensors["item_ids"]
        if self.negatives is None:
            table = self.model.table()
            sessions = self._represent(batch, item_ids, table)[wanted]
            return linear_cross_entropy(sessions.float(), table, labels)
        # Vectors of the items at hand alone: normalising the whole table would cost as much as all the rest.
        sampled, places, log_chance = self.negatives(labels)
        read, item_places = item_ids.unique(return_inverse=True)
        vectors, table = self.model.vectors(torch.cat([read, sampled])).split([len(read), len(sampled)])
        sessions = self._represent(batch, item_places, vectors)[wanted].float()
        if config.loss == "cross_entropy":
            return linear_cross_entropy(sessions, table, places, -log_chance)
        scores = F.linear(sessions, table).float()
        real = torch.ones_like(scores, dtype=torch.bool).scatter_(1, places.unsqueeze(1), value=False)
        targets = scores.gather(1, places.unsqueeze(1)).squeeze(1)
        return ranking_loss(config.loss, targets, scores, real, config.regularisation)


def _rank(sessions: Tensor, table: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Loss and rank of each label among all items: `[positions]` each. An equal score ranks before the label's."""
    scores = F.linear(sessions, table)
    scores[:, 0] = float("-inf")
    of_label = scores.gather(1, labels.unsqueeze(1))
    loss = scores.logsumexp(dim=1) - of_label.squeeze(1)
    return loss, scores.ge(of_label).sum(dim=1, dtype=torch.int32)
