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

import lightning as L
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar

from contract.text import TextCodec
from models.architecture import Generator
from models.data.parallel import Pair
from models.data.tokenizer import train_codecs
from models.registry import ConfigError
from models.training import run as folder
from models.training.average import MovingAverage
from models.training.config import Hardware, TrainConfig, load_config
from models.training.data import PairData, read_split
from models.training.module import GeneratorModule
from models.training.report import EpochReport, read_metrics

SCORE = "validation_bleu"
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
    path = output / config.name
    pairs, validation = read_split(config.data, data, "train"), read_split(config.data, data, "validation")
    codecs = _codecs(path, config, pairs)
    model = folder.new_model(config, *codecs)
    if not isinstance(model, Generator):
        raise ConfigError(f"architecture {config.architecture_name!r} is not a generator: it cannot translate")
    source = PairData(pairs, validation, codecs, config)
    with _quiet():
        trainer = _trainer(config, path, hardware, progress)
        steps = len(source.epoch(0, 0, trainer.world_size)) * config.training.epochs
        length = config.data.max_length
        module = GeneratorModule(
            model, config.training, codecs[1], seed=config.seed, total_steps=steps, max_length=length
        )
        last = path / folder.CHECKPOINTS / f"{LAST}.ckpt"
        trainer.fit(module, source, ckpt_path=last if last.exists() else None)
    if trainer.is_global_zero:
        _write_result(path, config, model, hardware)
    return path


def discard(path: Path) -> None:
    """Remove a run folder, so that the next run of its name starts afresh."""
    if path.exists() and not (path / folder.CONFIG).is_file():
        raise ConfigError(f"{path} is not a run folder; refusing to remove it")
    shutil.rmtree(path, ignore_errors=True)


def _trainer(config: TrainConfig, path: Path, hardware: Hardware, progress: bool) -> L.Trainer:
    place = path / folder.CHECKPOINTS
    checkpoint = partial(ModelCheckpoint, place, enable_version_counter=False, save_on_train_epoch_end=True)
    best = checkpoint(filename="best", monitor=SCORE, mode="max")
    callbacks: list[Callback] = [
        EpochReport(path, best),
        EarlyStopping(SCORE, mode="max", patience=config.training.patience, check_on_train_epoch_end=True),
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


def _codecs(path: Path, config: TrainConfig, pairs: list[Pair]) -> tuple[TextCodec, TextCodec]:
    """The tokenizers of the run folder, trained when it is new."""
    if (path / folder.CONFIG).is_file():
        before = load_config(path / folder.CONFIG)
        kept = ("architecture", "data", "seed", "task", "tokenizer")
        if changed := [name for name in kept if getattr(before, name) != getattr(config, name)]:
            raise ConfigError(f"{path} holds a run with another {', '.join(changed)}; use --fresh or another --output")
        codecs = TextCodec.load(path / folder.SOURCE), TextCodec.load(path / folder.TARGET)
    else:
        codecs = train_codecs(pairs, config.tokenizer)
    folder.prepare(path, config, codecs)
    return codecs


def _write_result(path: Path, config: TrainConfig, model: Generator, hardware: Hardware) -> None:
    rows = read_metrics(path)
    best = max(rows, key=lambda row: row[SCORE])
    result = {
        "name": config.name,
        "architecture": config.architecture_name,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "epochs": len(rows),
        "best_epoch": int(best["epoch"]),
        SCORE: best[SCORE],
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "hardware": asdict(hardware),
    }
    (path / folder.RESULT).write_text(json.dumps(result, indent=2) + "\n", "utf-8")
