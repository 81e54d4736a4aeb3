"""What a run leaves for people to read: a row of metrics each epoch and a picture of them."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from matplotlib.figure import Figure

from models.training.run import CURVE, METRICS, write_weights

LOSSES = ("train_loss", "validation_loss")


def read_metrics(run: Path) -> list[dict[str, float]]:
    """Rows of a run's metrics, empty when there are none yet."""
    if not (run / METRICS).is_file():
        return []
    with (run / METRICS).open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def draw_curve(rows: list[dict[str, float]], score: str, path: Path) -> None:
    """Losses and a validation score against epochs, as a PNG."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    losses = figure.subplots()
    epochs = [row["epoch"] for row in rows]
    losses.plot(epochs, [row["train_loss"] for row in rows], label="train loss")
    losses.plot(epochs, [row["validation_loss"] for row in rows], label="validation loss")
    name = score.replace("_", " ")
    losses.set(xlabel="epoch", ylabel="loss, nats")
    right = losses.twinx()
    right.plot(epochs, [row[score] for row in rows], color="tab:green", label=name)
    right.set_ylabel(name)
    figure.legend(loc="outside upper center", ncols=3)
    figure.savefig(path, dpi=110)


class EpochReport(L.Callback):
    """Appends to metrics.csv, redraws the curve and keeps the chosen weights up to date after every epoch.

    An epoch takes `seconds` on the clock and `processor_seconds` of all threads of this process, which other work on
    the machine does not lengthen.
    """

    def __init__(self, run: Path, checkpoint: ModelCheckpoint, scores: list[str]) -> None:
        self._run = run
        self._scores = scores
        self._checkpoint = checkpoint
        self._written = ""
        self._start_clocks()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._write_best(trainer)
        self._start_clocks()

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._write_best(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        # A killed run repeats the epoch after its last checkpoint: the repeated row replaces the first one.
        rows = [row for row in read_metrics(self._run) if row["epoch"] < trainer.current_epoch]
        metrics = {name: float(trainer.callback_metrics[name]) for name in (*LOSSES, *self._scores)}
        rows.append(
            {
                "epoch": trainer.current_epoch,
                "step": trainer.global_step,
                "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
                **metrics,
                "seconds": time.monotonic() - self._started,
                "processor_seconds": time.process_time() - self._processor_started,
            }
        )
        with (self._run / METRICS).open("w", newline="") as file:
            # A run may go on from an epoch that an earlier release reported, with fewer columns.
            writer = csv.DictWriter(file, list(rows[-1]), restval="nan")
            writer.writeheader()
            writer.writerows({name: f"{value:.6g}" for name, value in row.items()} for row in rows)
        draw_curve(rows, self._scores[0], self._run / CURVE)

    def _start_clocks(self) -> None:
        self._started, self._processor_started = time.monotonic(), time.process_time()

    def _write_best(self, trainer: L.Trainer) -> None:
        best = self._checkpoint.best_model_path
        if trainer.is_global_zero and best and (mark := f"{best}:{self._checkpoint.best_model_score}") != self._written:
            write_weights(self._run, Path(best))
            self._written = mark
