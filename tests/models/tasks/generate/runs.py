"""Configs and books on small data, tunes and running text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.tasks.generate.config import GenerateConfig

DATA = Path(__file__).parents[3] / "data"
TUNES: dict[str, Any] = {
    "train": {"tunes": "tunes/train.abc"},
    "validation": {"tunes": "tunes/validation.abc"},
    "max_length": 128,
}
TEXT: dict[str, Any] = {
    "train": {"text": "parallel/train.en", "part": [0, 0.75]},
    "validation": {"text": "parallel/train.en", "part": [0.75, 1]},
    "max_length": 20,
}


def make_config(data: dict[str, Any], **training: Any) -> GenerateConfig:
    """A run of a tiny recurrent network."""
    return GenerateConfig.model_validate(
        {
            "name": "writer",
            "architecture": {"name": "recurrent_generator", "embedding_size": 8, "hidden_size": 16, "dropout": 0.0},
            "data": data,
            "training": {"epochs": 1, "warmup_steps": 1, "batch_tokens": 500} | training,
        }
    )
