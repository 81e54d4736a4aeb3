"""Upscaling as a training task: as completion, but from small pictures."""

from __future__ import annotations

from models.tasks.complete_image.task import PixelTask
from models.tasks.upscale.config import UpscaleConfig


class UpscaleTask(PixelTask[UpscaleConfig]):
    """Draws pictures from smaller ones."""

    config = UpscaleConfig
