"""One training run from its config, started afresh or gone on with."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, TQDMProgressBar

from contract.text import TextCodec
from models.architecture import Generator
from models.data.tokenizer import train_codecs
from models.registry import ConfigError
from models.training import run as folder
from models.training.average import MovingAverage
from models.training.config import TrainConfig, load_config
from models.training.data import PairData, read_split
from models.training.module import GeneratorModule
from models.training.report import EpochReport, read_metrics

SCORE = "validation_bleu"


@dataclass(frozen=True)
class Hardware:
    """Where a run computes: Lightning's own names and values."""

    accelerator: str = "auto"
    devices: str = "1"
    strategy: str = "auto"
    precision: str = "32-true"


def train(config: TrainConfig, data: Path, output: Path, *, hardware: Hardware, progress: bool = True) -> Path:
    """Train to the end, going on from the last checkpoint when the run folder has one; returns the run folder.

    Raises:
        ConfigError: the folder holds a run of another config, or the config does not fit its data.
    """
    path = output / config.name
    train_pairs, validation_pairs = (read_split(config.data, data, split) for split in ("train", "validation"))
    codecs = _codecs(path, config, train_pairs)
    model = folder.new_model(config, *codecs)
    if not isinstance(model, Generator):
        raise ConfigError(f"architecture {config.architecture_name!r} is not a generator: it cannot translate")
    max_length = int(getattr(model.config, "max_length", 256))
    pairs = PairData(train_pairs, validation_pairs, codecs, config, max_length)

    checkpoint = ModelCheckpoint(
        path / folder.CHECKPOINTS,
        filename="best",
        monitor=SCORE,
        mode="max",
        save_last=True,
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )
    trainer = L.Trainer(
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        strategy=hardware.strategy,
        precision=hardware.precision,  # type: ignore[arg-type]
        max_epochs=config.training.epochs,
        callbacks=[*_callbacks(config, path, checkpoint, progress), checkpoint],
        logger=False,
        use_distributed_sampler=False,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        enable_progress_bar=progress,
        enable_model_summary=False,
        default_root_dir=path,
    )
    steps = len(pairs.epoch(0, 0, trainer.world_size)) * config.training.epochs
    module = GeneratorModule(
        model, config.training, codecs[1], seed=config.seed, total_steps=steps, max_length=max_length
    )
    last = path / folder.CHECKPOINTS / "last.ckpt"
    trainer.fit(module, pairs, ckpt_path=last if last.exists() else None)
    if trainer.is_global_zero:
        _write_result(path, config, model, hardware)
    return path


def discard(path: Path) -> None:
    """Remove a run folder, so that the next run of its name starts afresh."""
    if path.exists() and not (path / folder.CONFIG).is_file():
        raise ConfigError(f"{path} is not a run folder; refusing to remove it")
    shutil.rmtree(path, ignore_errors=True)


def _codecs(path: Path, config: TrainConfig, pairs: list[tuple[str, str]]) -> tuple[TextCodec, TextCodec]:
    """The tokenizers of the run folder, trained when it is new."""
    if not (path / folder.CONFIG).is_file():
        codecs = train_codecs(pairs, config.tokenizer)
        folder.prepare(path, config, codecs)
        return codecs
    before = load_config(path / folder.CONFIG)
    kept = {"architecture", "data", "tokenizer", "seed"}
    if changed := sorted(name for name in kept if getattr(before, name) != getattr(config, name)):
        raise ConfigError(f"{path} holds a run with another {', '.join(changed)}; use --fresh or another --output")
    codecs = TextCodec.load(path / folder.SOURCE), TextCodec.load(path / folder.TARGET)
    folder.prepare(path, config, codecs)
    return codecs


def _callbacks(config: TrainConfig, path: Path, checkpoint: ModelCheckpoint, progress: bool) -> list[Callback]:
    callbacks: list[Callback] = [
        EpochReport(path, checkpoint),
        EarlyStopping(SCORE, mode="max", patience=config.training.patience, check_on_train_epoch_end=True),
    ]
    if config.training.average_decay:
        callbacks.append(MovingAverage(config.training.average_decay))
    if progress:
        callbacks.append(TQDMProgressBar(refresh_rate=20))
    return callbacks


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
