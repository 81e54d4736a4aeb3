"""Pictures of attention: what a running service replies to `"explain": true`, as heat maps. SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import matplotlib as mpl
import yaml
from matplotlib.figure import Figure
from pydantic import TypeAdapter, ValidationError

from contract.signature import Frozen
from export.results.plots import STYLE, save
from models.registry import ConfigError

MAPS = Path("docs/maps.yaml")
_LONGEST = 20
"""Characters of a name that still stands above its column; sentences stand at the side."""


class Asked(Frozen):
    """One picture: its file, its title, and the request whose reply it shows."""

    file: str
    title: str
    path: str
    body: dict[str, Any]

    @property
    def model(self) -> str:
        """The bundle that is asked."""
        return str(self.body["model"])


class Drawn(Frozen):
    """A map: `weights[target][source]` over the names of both."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]

    def turned(self) -> Drawn:
        """Sources down the side."""
        return Drawn(sources=self.targets, targets=self.sources, weights=tuple(zip(*self.weights, strict=True)))


def load_maps(path: Path = MAPS) -> list[Asked]:
    """The pictures that a file lists.

    Raises:
        ConfigError: it is not such a list.
    """
    try:
        return TypeAdapter(list[Asked]).validate_python(yaml.safe_load(path.read_text("utf-8")))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"{path} does not list pictures: {error}") from error


def draw_maps(asked: Sequence[Asked], client: httpx.Client, folder: Path) -> Iterator[tuple[Asked, Path | None]]:
    """Draw every picture into a folder; None for one whose model the service does not have.

    Raises:
        ConfigError: nothing answers the client, or a request is refused.
    """
    try:
        served = {model["name"] for model in client.get("/v1/models").raise_for_status().json()["models"]}
        for one in asked:
            if one.model not in served:
                yield one, None
                continue
            reply = client.post(one.path, json=one.body | {"explain": True}).raise_for_status()
            yield one, _draw(one.title, read_map(reply.json()), folder / one.file)
    except httpx.HTTPError as error:
        raise ConfigError(f"{client.base_url}: {error}; start the service with the bundles to be asked") from error


def read_map(reply: dict[str, Any]) -> Drawn:
    """The finest map of the first answer of a reply."""
    (answers,) = (value for value in reply.values() if isinstance(value, list))
    found = answers[0]["attention"]
    maps = found if isinstance(found, list) else [found]
    finest = max(maps, key=lambda one: len(one["sources"]))
    weights = finest["weights"]
    rows = weights if isinstance(weights[0], list) else [weights]
    targets = finest.get("targets") or [f"hop {number}" for number in range(1, len(rows) + 1)]
    return Drawn(
        sources=tuple(_name(source) for source in finest["sources"]),
        targets=tuple(target.lstrip("▁") for target in targets) if len(rows) > 1 else ("",),
        weights=tuple(tuple(row) for row in rows),
    )


def _name(source: Any) -> str:
    return str(source if isinstance(source, str) else source.get("text", source.get("item")))


def _draw(title: str, drawn: Drawn, path: Path) -> Path:
    if max(map(len, drawn.sources)) > _LONGEST:
        drawn = drawn.turned()
    across, down = len(drawn.sources), len(drawn.targets)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(3.6, 1.5 + 0.35 * across), 1.5 + 0.25 * down), layout="constrained")
        axes = figure.subplots()
        axes.imshow(drawn.weights, cmap="Blues", vmin=0, aspect="auto")
        axes.set_xticks(range(across), drawn.sources, rotation=60, ha="left", rotation_mode="anchor")
        axes.set_yticks(range(down), drawn.targets)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        figure.supxlabel(title, fontsize="medium")
        save(figure, path)
    return path
