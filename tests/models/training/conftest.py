from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.training.config import TrainConfig
from models.training.task import parse_config

DATA = Path(__file__).parents[2] / "data" / "parallel"


@pytest.fixture
def data() -> Path:
    """A folder of a hundred captions made from templates."""
    return DATA


@pytest.fixture
def config() -> TrainConfig:
    """A run of seconds: four batches an epoch."""
    return tiny_config()


def tiny_config(**training: Any) -> TrainConfig:
    splits = {"train": "train", "validation": "val", "test": "test"}
    sizes = {"hidden_size": 16, "num_heads": 2, "feed_forward_size": 16, "encoder_layers": 1, "decoder_layers": 1}
    return parse_config(
        {
            "name": "tiny",
            "task": "translate",
            "architecture": {"name": "transformer", "dropout": 0.1, "max_length": 64, **sizes},
            "data": {
                **{split: {"source": f"{file}.en", "target": f"{file}.de"} for split, file in splits.items()},
                "max_length": 64,
            },
            "tokenizer": {"vocabulary_size": 150},
            "training": {"epochs": 2, "batch_tokens": 600, "warmup_steps": 4, "learning_rate": 0.01} | training,
        },
        "tiny",
    )
