"""From a finished run to what an export draws on."""

from __future__ import annotations

from typing import Any

from export.caption import caption_material
from export.errors import ExportError
from export.material import Material
from export.pixels import completion_material, upscale_material
from export.predict import predict_material
from export.text import text_material
from export.writing import character_material
from models.training.run import Run
from models.training.task import OneShotTask


def from_run(run: Run[Any, Any]) -> Material:
    """Material of a run, whatever its task; its validation split must be readable.

    Raises:
        ExportError: nothing exports such a run.
    """
    if isinstance(run.task, OneShotTask):
        return predict_material(run, run.task)
    if run.config.task == "translate":
        return text_material(run)
    if run.config.task == "caption":
        return caption_material(run)
    if run.config.task == "generate":
        return character_material(run)
    if run.config.task == "complete-image":
        return completion_material(run)
    if run.config.task == "upscale":
        return upscale_material(run)
    raise ExportError(f"{run.path}: a run for the task {run.config.task!r} is trained for other runs to start from")
