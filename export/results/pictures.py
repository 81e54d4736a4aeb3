"""Pictures that a running service draws, beside what it was given: a sheet for each model that draws."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from contract.images import ImageError, Pixels, fit_pixels, read_image
from models.registry import ConfigError

SEEDS = (1, 2, 3)
"""Every picture is drawn with each."""
_TASKS = ("complete-image", "upscale")
_SCALE = 3
"""Pixels of a sheet that one of a picture takes, each way."""
_GAP = 6
"""White pixels of a sheet between pictures."""


def draw_sheets(files: Sequence[Path], client: httpx.Client, folder: Path) -> Iterator[Path]:
    """Write a sheet, `TASK.png`, for each model that draws: a row for each file.

    From the left: the picture in the model's own size, what the model was given of it, and what it drew from that with
    each of `SEEDS`.

    Raises:
        ConfigError: a file is not a picture, nothing answers the client, or a request is refused.
    """
    try:
        models = client.get("/v1/models").raise_for_status().json()["models"]
        for task, drawing in ((model["task"], model.get("drawing")) for model in models if model["default"]):
            if task in _TASKS:
                rows = [_row(file, task, drawing, client) for file in files]
                yield _save(rows, folder / f"{task}.png")
    except ImageError as error:
        raise ConfigError(f"one of {', '.join(map(str, files))}: {error}") from error
    except httpx.HTTPError as error:
        raise ConfigError(f"{client.base_url}: {error}; start the service with the models that draw") from error


def given(picture: Pixels, shrunk: Pixels | None) -> Pixels:
    """What a model was given of a picture `[size, size, 3]`, in its size: its upper half on grey, or `shrunk`."""
    if shrunk is not None:
        return shrunk.repeat(len(picture) // len(shrunk), 0).repeat(len(picture) // len(shrunk), 1)
    half = np.full_like(picture, 128)
    half[: len(picture) // 2] = picture[: len(picture) // 2]
    return half


def _row(file: Path, task: str, drawing: dict[str, Any], client: httpx.Client) -> list[Pixels]:
    content = file.read_bytes()
    image, size, fit = read_image(content), drawing["size"], drawing["fit"]
    source_size = drawing.get("source_size")
    picture = fit_pixels(image, size, fit)
    shrunk = None if source_size is None else fit_pixels(image, source_size, fit)
    return [picture, given(picture, shrunk), *(_drawn(content, task, seed, client) for seed in SEEDS)]


def _drawn(content: bytes, task: str, seed: int, client: httpx.Client) -> Pixels:
    body = {"image": base64.b64encode(content).decode("ascii"), "seed": seed}
    (reply,) = client.post(f"/v1/{task}", json=body).raise_for_status().json()["pictures"]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(reply["image"]))))


def _save(rows: Sequence[Sequence[Pixels]], path: Path) -> Path:
    step = len(rows[0][0]) * _SCALE + _GAP
    sheet = Image.new("RGB", (len(rows[0]) * step - _GAP, len(rows) * step - _GAP), "white")
    for down, row in enumerate(rows):
        for across, pixels in enumerate(row):
            drawn = Image.fromarray(pixels.repeat(_SCALE, 0).repeat(_SCALE, 1))
            sheet.paste(drawn, (across * step, down * step))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path, optimize=True)
    return path
