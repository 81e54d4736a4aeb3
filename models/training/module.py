"""The Lightning module that trains a generator."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from sacrebleu.metrics.bleu import BLEU
from torch import Tensor

from contract.text import TextCodec
from models.architecture import Generator
from models.data.batches import Batch
from models.training.config import TrainingConfig
from models.training.decode import greedy_decode
from models.training.loss import smoothed_cross_entropy

SEED_STRIDE = 1_000_000_007
"""Separates the random numbers of runs with neighbouring seeds."""


def rate_factor(step: int, *, warmup: int, total: int, schedule: str) -> float:
    """Share of the peak learning rate at a step: linear warm-up, then the decay of the schedule."""
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "inverse_sqrt":
        return float((warmup / (step + 1)) ** 0.5)
    return max(0.0, (total - step) / max(total - warmup, 1))


class GeneratorModule(L.LightningModule):
    """Loss, optimiser and validation BLEU of a generator.

    Logs `train_loss`, `validation_loss` and `validation_bleu` (sacreBLEU, lower-cased, of greedy translations).
    """

    def __init__(
        self,
        model: Generator,
        config: TrainingConfig,
        target: TextCodec,
        *,
        seed: int,
        total_steps: int,
        max_length: int,
    ) -> None:
        super().__init__()
        self.model = model
        self.training_config = config
        self.target = target
        self.seed = seed
        self.total_steps = total_steps
        self.max_length = max_length
        self._hypotheses: list[str] = []
        self._references: list[str] = []

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed every step by its number, so that a resumed run draws what an unbroken one does."""
        torch.manual_seed(self.seed * SEED_STRIDE + self.global_step * self.trainer.world_size + self.global_rank)

    def training_step(self, batch: Batch, _index: int) -> Tensor:
        loss = self._loss(batch)
        self._log("train_loss", loss, rows=len(batch.labels), bar=True)
        return loss

    def validation_step(self, batch: tuple[Batch, list[str]], _index: int) -> None:
        examples, references = batch
        self._log("validation_loss", self._loss(examples), rows=len(references))
        bos, eos = self.target.bos, self.target.eos
        with torch.autocast(self.device.type, enabled=False):  # what is exported first is fp32
            rows = greedy_decode(self.model, examples.inputs, bos=bos, eos=eos, max_length=self.max_length)
        self._hypotheses += [self.target.decode(ids) for ids in rows]
        self._references += references

    def on_validation_epoch_end(self) -> None:
        bleu = BLEU(lowercase=True).corpus_score(self._hypotheses, [self._references]).score
        self._log("validation_bleu", torch.tensor(bleu), rows=1, bar=True)
        self._hypotheses, self._references = [], []

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        config = self.training_config
        matrices = [p for p in self.parameters() if p.dim() > 1]
        others = [p for p in self.parameters() if p.dim() <= 1]
        groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
        # With fp16 the gradients are scaled; a fused optimiser would unscale them itself, after they were clipped.
        fused = self.trainer.precision != "16-mixed"
        optimizer = torch.optim.AdamW(
            groups, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=config.weight_decay, fused=fused
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: rate_factor(
                step, warmup=config.warmup_steps, total=self.total_steps, schedule=config.schedule
            ),
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by norm here: Lightning refuses to clip for a fused optimiser under mixed precision."""
        torch.nn.utils.clip_grad_norm_(self.parameters(), self.training_config.gradient_clip)

    def _log(self, name: str, value: Tensor, *, rows: int, bar: bool = False) -> None:
        """A metric of the epoch, the mean over its batches and over processes."""
        self.log(name, value, on_step=False, on_epoch=True, batch_size=rows, prog_bar=bar, sync_dist=True)

    def _loss(self, batch: Batch) -> Tensor:
        logits = self.model(batch.inputs, batch.target_ids)
        smoothing = self.training_config.label_smoothing if self.training else 0.0
        return smoothed_cross_entropy(
            logits.flatten(0, 1), batch.labels.flatten(), smoothing=smoothing, ignored=self.target.pad
        )
