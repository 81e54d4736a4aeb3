"""One training run from its config, started afresh or gone on with."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar

from models.architecture import Architecture
from models.registry import ConfigError
from models.training import run as folder
from models.training.average import MovingAverage
from models.training.config import Hardware, TrainConfig
from models.training.report import EpochReport, read_metrics
from models.training.task import TrainingTask, Vocabulary, find_task, load_config

LAST = "last"

BESIDE_THE_POINT = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # Lightning's own use of PyTorch
    r"Your `IterableDataset` has `__len__` defined",  # ours is exact: each process has its own share
    r"The '(train|val)_dataloader' does not have many workers",  # batches are made of ids in memory
    r"Checkpoint directory .* exists and is not empty",  # that is what going on looks like
    r"The dirpath has changed",  # a run folder may be moved
)
"""Warnings of Lightning that tell the user of this package nothing."""


def train(config: TrainConfig, data: Path, output: Path, *, hardware: Hardware, progress: bool = True) -> Path:
    """Train to the end, going on from the last checkpoint when the run folder has one.

    Args:
        config: the run; its name becomes the run folder's.
        data: the folder that the config's file names are relative to.
        output: the folder of run folders.
        hardware: devices and precision.
        progress: whether to show a progress bar.

    Returns:
        The run folder.

    Raises:
        ConfigError: the folder holds a run of another config, or the config does not fit its data.
        DataError: a file of the data is missing or broken.
    """
    path, task = output / config.name, find_task(config.task)
    vocabulary = _vocabulary(task, path, config, data)
    model = folder.new_model(task, config, vocabulary)
    task.initialise(model, config, data)
    source = task.data(config, vocabulary, data)
    scores = [f"validation_{name}" for name in task.scores]
    with _quiet():
        trainer = _trainer(config, path, hardware, scores, progress)
        steps = len(source.epoch(0, 0, trainer.world_size)) * config.training.epochs
        module = task.module(model, config, vocabulary, steps)
        last = path / folder.CHECKPOINTS / f"{LAST}.ckpt"
        trainer.fit(module, source, ckpt_path=last if last.exists() else None)
    if trainer.is_global_zero:
        _write_result(path, config, model, hardware, scores)
    return path


def discard(path: Path) -> None:
    """Remove a run folder, so that the next run of its name starts afresh."""
    if path.exists() and not (path / folder.CONFIG).is_file():
        raise ConfigError(f"{path} is not a run folder; refusing to remove it")
    shutil.rmtree(path, ignore_errors=True)


def _trainer(config: TrainConfig, path: Path, hardware: Hardware, scores: list[str], progress: bool) -> L.Trainer:
    place = path / folder.CHECKPOINTS
    checkpoint = partial(ModelCheckpoint, place, enable_version_counter=False, save_on_train_epoch_end=True)
    best = checkpoint(filename="best", monitor=scores[0], mode="max")
    callbacks: list[Callback] = [
        EpochReport(path, best, scores),
        EarlyStopping(scores[0], mode="max", patience=config.training.patience, check_on_train_epoch_end=True),
        best,
        checkpoint(filename=LAST),  # after `best`, whose state it holds
    ]
    if config.training.average_decay:
        callbacks.append(MovingAverage(config.training.average_decay))
    if progress:
        callbacks.append(TQDMProgressBar(refresh_rate=20))
    return L.Trainer(
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        strategy=hardware.strategy,
        precision=hardware.precision,
        max_epochs=config.training.epochs,
        callbacks=callbacks,
        logger=False,
        use_distributed_sampler=False,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        enable_progress_bar=progress,
        enable_model_summary=False,
        default_root_dir=path,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        for message in BESIDE_THE_POINT:
            warnings.filterwarnings("ignore", message)
        yield


def _vocabulary(task: TrainingTask[Any, Any], path: Path, config: TrainConfig, data: Path) -> Vocabulary:
    """The vocabulary of the run folder, learnt when it is new."""
    vocabulary: Vocabulary
    if (path / folder.CONFIG).is_file():
        if changed := config.changed(load_config(path / folder.CONFIG)):
            raise ConfigError(f"{path} holds a run with another {', '.join(changed)}; use --fresh or another --output")
        vocabulary = task.load(path)
    else:
        vocabulary = task.learn(config, data)
    folder.prepare(path, config, vocabulary)
    return vocabulary


def _write_result(path: Path, config: TrainConfig, model: Architecture, hardware: Hardware, scores: list[str]) -> None:
    rows = read_metrics(path)
    best = max(rows, key=lambda row: row[scores[0]])
    result = {
        "name": config.name,
        "architecture": config.architecture_name,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "epochs": len(rows),
        "best_epoch": int(best["epoch"]),
        **{score: best[score] for score in scores},
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "hardware": asdict(hardware),
    }
    (path / folder.RESULT).write_text(json.dumps(result, indent=2) + "\n", "utf-8")
