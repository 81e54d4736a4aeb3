"""Whether what a bundle declares of requests and replies goes together with the tensors of its model."""

from __future__ import annotations

from contract.preprocessing import (
    CHANNELS,
    PREPROCESSING,
    ImagePreprocessing,
    LabelPreprocessing,
    PixelPreprocessing,
    Preprocessing,
    StoryPreprocessing,
)
from contract.signature import Signature, Tensor
from contract.tasks import TaskName


def check_preprocessing(
    task: TaskName, preprocessing: Preprocessing, signature: Signature, target: int | None
) -> list[str]:
    """Faults of a bundle's preprocessing; empty where it fits.

    Args:
        task: of the bundle.
        preprocessing: how it reads requests and writes replies.
        signature: of its model, which fits the task.
        target: the most tokens that it writes, those of a prompt counted; None where it writes none.
    """
    if preprocessing.kind != (wanted := PREPROCESSING[task]):
        return [f"task {task!r} needs preprocessing of kind {wanted!r}, not {preprocessing.kind!r}"]
    if isinstance(preprocessing, LabelPreprocessing) and signature.shape == "predict":
        return _axes_faults(signature.outputs, ("rows", len(preprocessing.labels)), "scores, one for each label,")
    if isinstance(preprocessing, StoryPreprocessing) and signature.shape == "predict":
        return _axes_faults(signature.outputs, ("rows", len(preprocessing.answers)), "scores, one for each answer,")
    if isinstance(preprocessing, ImagePreprocessing):
        return _square_faults(signature.inputs, preprocessing.size)
    if isinstance(preprocessing, PixelPreprocessing):
        return _pixel_faults(task, preprocessing, signature, target)
    return []


def _pixel_faults(
    task: TaskName, preprocessing: PixelPreprocessing, signature: Signature, target: int | None
) -> list[str]:
    faults = []
    whole = CHANNELS * preprocessing.size**2
    if target != whole:
        faults.append(f"limits: target is {target}, a picture of size {preprocessing.size} has {whole} intensities")
    source_size = preprocessing.source_size
    if task != "upscale":
        return faults if source_size is None else [*faults, f"preprocessing: task {task!r} has no source_size"]
    if source_size is None:
        return [*faults, f"preprocessing: task {task!r} needs a source_size"]
    return faults + _square_faults(signature.inputs, source_size)


def _square_faults(inputs: tuple[Tensor, ...], side: int) -> list[str]:
    return _axes_faults(inputs, ("rows", side, side, CHANNELS), f"pictures of {side} pixels a side")


def _axes_faults(tensors: tuple[Tensor, ...], axes: tuple[str | int, ...], what: str) -> list[str]:
    return [
        f"preprocessing: {what} have the axes {axes}, {tensor.name!r} of the model has {tensor.axes}"
        for tensor in tensors
        if tensor.axes != axes
    ]
