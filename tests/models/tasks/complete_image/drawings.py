"""Models that learn to draw the drawn pictures of the tests, in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.tasks.complete_image.config import PixelConfig
from models.training.task import parse_config

PICTURES = Path(__file__).parents[3] / "data" / "pictures"

SIZES = {"hidden_size": 16, "num_heads": 2, "feed_forward_size": 16, "decoder_layers": 1, "window": 12}


def pixel_config(task: str = "complete-image", **sections: dict[str, Any]) -> PixelConfig:
    """A run of two short epochs of pictures of 8 pixels a side; sections change what is given."""
    architecture = "image_transformer" if task == "complete-image" else "image_upscaler"
    source = {} if task == "complete-image" else {"source_size": 4}
    fields: dict[str, Any] = {
        "name": "drawings",
        "task": task,
        "architecture": {"name": architecture, **SIZES},
        "data": {"train": ["train.tar"], "validation": ["loose"], "size": 8, **source},
        "training": {"epochs": 2, "batch_tokens": 768, "warmup_steps": 2, "learning_rate": 0.01, "average_decay": 0.0},
    }
    parsed = parse_config(fields | {key: fields.get(key, {}) | section for key, section in sections.items()}, "test")
    assert isinstance(parsed, PixelConfig)
    return parsed
