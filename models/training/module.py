"""The Lightning module that trains a model: optimiser, schedule, seeding and logging. Tasks add loss and scores."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from models.architecture import Architecture
from models.registry import ConfigError
from models.training.config import TrainingConfig

SEED_STRIDE = 1_000_000_007
"""Separates the random numbers of runs with neighbouring seeds."""


STAGES = 4
"""Parts of a run between which *halving* halves the learning rate."""


def rate_factor(step: int, *, warmup: int, total: int, schedule: str) -> float:
    """Share of the peak learning rate at a step: linear warm-up, then the decay of the schedule."""
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "inverse_sqrt":
        return float((warmup / (step + 1)) ** 0.5)
    if schedule == "halving":
        return float(0.5 ** min(STAGES * (step - warmup) // max(total - warmup, 1), STAGES - 1))
    return max(0.0, (total - step) / max(total - warmup, 1))


def weight_groups(parameters: Iterable[nn.Parameter], **options: Any) -> list[dict[str, Any]]:
    """Parameters of one learning rate as the optimiser takes them: matrices decay, biases and gains do not."""
    listed = list(parameters)
    matrices, others = ([p for p in listed if (p.dim() > 1) == wanted] for wanted in (True, False))
    return [{"params": matrices, **options}, {"params": others, "weight_decay": 0.0, **options}]


class TrainingModule(L.LightningModule):
    """A model in training. A task implements `training_step`, `validation_step` and what ends a validation epoch.

    Logs `train_loss`; a task logs `validation_loss` and each of its scores by `log_mean`.
    """

    def __init__(self, model: Architecture, config: TrainingConfig, *, seed: int, total_steps: int) -> None:
        super().__init__()
        self.model = model
        self.training_config = config
        self.seed = seed
        self.total_steps = total_steps

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse to go on with other parameters: the optimiser's state is kept by their order, and goes unchecked.

        Raises:
            ConfigError: the architecture has changed since the checkpoint was written.
        """
        if list(checkpoint["state_dict"]) != list(self.state_dict()):
            raise ConfigError("the architecture has changed since this run was stopped: train it afresh (--fresh)")

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed every step by its number, so that a resumed run draws what an unbroken one does."""
        torch.manual_seed(self.seed * SEED_STRIDE + self.global_step * self.trainer.world_size + self.global_rank)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters as the optimiser takes them."""
        return weight_groups(self.parameters())

    def rate(self, step: int) -> float:
        """Share of the learning rate at a step."""
        schedule = self.training_config.schedule
        return rate_factor(step, warmup=self._warmup_steps, total=self.total_steps, schedule=schedule)

    @property
    def _warmup_steps(self) -> int:
        """The config's, but of a short run no more than a tenth, so that it learns at all."""
        return max(1, min(self.training_config.warmup_steps, self.total_steps // 10))

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        config = self.training_config
        optimizer: torch.optim.Optimizer
        # With fp16 the gradients are scaled; a fused optimiser would unscale them itself, after they were clipped.
        fused = self.trainer.precision != "16-mixed"
        shared: dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay, "fused": fused}
        if config.optimizer == "sgd":
            optimizer = torch.optim.SGD(self.parameter_groups(), **shared)
        else:
            optimizer = torch.optim.AdamW(self.parameter_groups(), betas=(0.9, 0.98), **shared)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip by norm here: Lightning refuses to clip for a fused optimiser under mixed precision."""
        torch.nn.utils.clip_grad_norm_(self.parameters(), self.training_config.gradient_clip)

    def log_mean(self, name: str, value: Tensor | float, *, rows: int, bar: bool = False) -> None:
        """A metric of the epoch, the mean over its batches (weighted by `rows`) and over processes."""
        mean = torch.as_tensor(value, dtype=torch.float32)
        self.log(name, mean, on_step=False, on_epoch=True, batch_size=rows, prog_bar=bar, sync_dist=True)
