"""Pretraining as a training task."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from contract.rows import Row
from contract.signature import Tensor
from contract.text import InputCodec
from models.architecture import Architecture
from models.architectures.masked_language_model import MaskedLanguageModel
from models.classifier import FLAT_INPUTS
from models.data.lines import carve
from models.data.masking import Masker, Piece
from models.data.texts import cut_pieces, read_texts
from models.data.wordpiece import MASK, train_wordpiece
from models.registry import ConfigError
from models.tasks.masked_language_model.config import MaskedLanguageConfig, UnlabelledData
from models.tasks.masked_language_model.module import MaskedLanguageModule, guess_hidden
from models.training.config import Split
from models.training.data import SEEDS_PER_RUN, RowData
from models.training.run import Run
from models.training.task import TrainingTask, check_positions

TOKENIZER = "tokenizer.json"
HIDDEN = Tensor(name="labels", dtype="int64", axes=("rows", "source"))
"""The ids to be guessed; 0 where there is nothing to guess."""
_VALIDATION = SEEDS_PER_RUN - 1
"""Takes an epoch's place in the seed of what is hidden in validation, which never changes."""


@dataclass(frozen=True)
class Tokens:
    """The tokens that are read and guessed."""

    codec: InputCodec

    def save(self, folder: Path) -> None:
        """Write the tokenizer into a run folder."""
        self.codec.save(folder / TOKENIZER)


class MaskedLanguageTask(TrainingTask[MaskedLanguageConfig, Tokens]):
    """Text without labels → an encoder that knows its language."""

    config = MaskedLanguageConfig
    scores = ("accuracy",)
    files = (TOKENIZER,)

    def learn(self, config: MaskedLanguageConfig, root: Path) -> Tokens:
        if config.pretrained is not None:
            return Tokens(config.pretrained.load_text().codec)
        return Tokens(train_wordpiece(read_split(config.data, root, "train"), config.tokenizer))

    def load(self, folder: Path) -> Tokens:
        return Tokens(InputCodec.load(folder / TOKENIZER))

    def sizes(self, config: MaskedLanguageConfig, vocabulary: Tokens) -> dict[str, Any]:
        return {"vocabulary_size": vocabulary.codec.vocabulary_size}

    def initialise(self, model: Architecture, config: MaskedLanguageConfig, root: Path) -> None:
        if config.pretrained is not None:
            config.pretrained.load().give(model)

    def data(self, config: MaskedLanguageConfig, vocabulary: Tokens, root: Path) -> RowData:
        train, validation = (
            cut_pieces(read_split(config.data, root, split), vocabulary.codec, config.data.max_length)
            for split in ("train", "validation")
        )
        masker = _masker(config, vocabulary)
        return RowData(
            (*FLAT_INPUTS, HIDDEN),
            lambda epoch: _hide(train, masker, config.seed * SEEDS_PER_RUN + epoch),
            _hide(validation, masker, config.seed * SEEDS_PER_RUN + _VALIDATION),
            batch_tokens=config.training.batch_tokens,
            seed=config.seed,
        )

    def module(
        self, model: Architecture, config: MaskedLanguageConfig, vocabulary: Tokens, total_steps: int
    ) -> MaskedLanguageModule:
        if not isinstance(model, MaskedLanguageModel):
            raise ConfigError(f"architecture {config.architecture_name!r} is no masked_language_model")
        check_positions(model, config.data.max_length)
        return MaskedLanguageModule(model, config.training, seed=config.seed, total_steps=total_steps)

    @torch.no_grad()
    def evaluate(self, run: Run[MaskedLanguageConfig, Tokens], split: Split) -> dict[str, str | int | float]:
        """Share of hidden tokens that are guessed, and perplexity: what hides them is seeded by the config."""
        assert isinstance(run.model, MaskedLanguageModel)
        config = run.config
        pieces = cut_pieces(read_split(config.data, run.root, split), run.vocabulary.codec, config.data.max_length)
        rows = _hide(pieces, _masker(config, run.vocabulary), config.seed * SEEDS_PER_RUN + _VALIDATION)
        batches = RowData(
            (*FLAT_INPUTS, HIDDEN), lambda _: rows, rows, batch_tokens=config.training.batch_tokens, seed=config.seed
        )
        loss, right, count = 0.0, 0, 0
        for batch in batches.val_dataloader():
            logits, hidden = guess_hidden(run.model, batch)
            loss += float(F.cross_entropy(logits, hidden, reduction="sum"))
            right += int((logits.argmax(dim=-1) == hidden).sum())
            count += len(hidden)
        return {
            "run": config.name,
            "split": split,
            "hidden_tokens": count,
            "accuracy": round(100 * right / count, 2),
            "perplexity": round(math.exp(loss / count), 3),
        }


def read_split(data: UnlabelledData, root: Path, split: Split) -> list[str]:
    """The texts of one split; validation is carved from the training set where the config names none."""
    if data.validation is None and split != "test":
        return carve(read_texts(data.train, root, data.line_break), key=str)[split == "validation"]
    source = {"train": data.train, "validation": data.validation, "test": data.test}[split]
    if source is None:
        raise ConfigError(f"the config names no {split} file (data.{split})")
    return read_texts(source, root, data.line_break)


def _masker(config: MaskedLanguageConfig, vocabulary: Tokens) -> Masker:
    codec = vocabulary.codec
    special = set(codec.tokenizer.get_added_tokens_decoder())
    ordinary = np.array([i for i in range(codec.vocabulary_size) if i not in special], np.int64)
    return Masker(config.masking, codec.token_id(MASK), ordinary)


def _hide(pieces: list[Piece], masker: Masker, seed: int) -> list[Row]:
    draw = np.random.default_rng(seed)
    rows: list[Row] = []
    for piece in pieces:
        read, hidden = masker.hide(piece, draw)
        rows.append({"source_ids": read, "source_lengths": np.array(len(read), np.int64), HIDDEN.name: hidden})
    return rows
