"""A captioner that is trained in seconds on the drawn pictures of the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.tasks.caption.config import CaptionConfig
from models.training.task import parse_config

PICTURES = Path(__file__).parents[3] / "data" / "pictures"

_STAGE = {"blocks": 1, "kernel_size": 3, "stride": 2, "expansion": 2, "channels": 8}
ENCODER = {"image_size": 32, "stem_size": 4, "stages": [_STAGE, _STAGE], "head_size": 16}
SIZES = {"embedding_size": 16, "hidden_size": 24, "memory_size": 16, "attention_size": 8}
TABLE = {"table": "captions.tsv", "unused": ["unused"]}


def caption_config(**sections: dict[str, Any]) -> CaptionConfig:
    """A run of two short epochs; sections change what is given."""
    fields: dict[str, Any] = {
        "name": "shapes",
        "task": "caption",
        "architecture": {"name": "captioner", "encoder": ENCODER, "dropout": 0.0, **SIZES},
        "data": {"images": ["train.tar", "loose"], "captions": TABLE, "max_length": 24},
        "tokenizer": {"vocabulary_size": 90},
        "training": {"epochs": 2, "batch_tokens": 200, "warmup_steps": 2, "learning_rate": 0.01, "average_decay": 0.0},
    }
    parsed = parse_config(fields | {key: fields.get(key, {}) | section for key, section in sections.items()}, "test")
    assert isinstance(parsed, CaptionConfig)
    return parsed
