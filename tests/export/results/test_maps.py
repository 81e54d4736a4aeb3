from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from export.results.maps import Asked, draw_maps, load_maps, read_map
from models.registry import ConfigError

ROOT = Path(__file__).resolve().parents[3]
WORDS = [{"text": "two", "start": 0, "end": 3}, {"text": "dogs", "start": 4, "end": 8}]
TRANSLATED = {
    "model": "m",
    "translations": [
        {"attention": {"sources": WORDS, "targets": ["▁zwei", "<eos>"], "weights": [[0.75, 0.25], [0.5, 0.5]]}}
    ],
}


def test_a_translation_is_a_map_of_targets_over_sources() -> None:
    drawn = read_map(TRANSLATED)
    assert (drawn.sources, drawn.targets) == (("two", "dogs"), ("zwei", "<eos>"))
    assert drawn.weights == ((0.75, 0.25), (0.5, 0.5))


def test_one_row_of_weights_has_no_name() -> None:
    drawn = read_map({"predictions": [{"attention": [{"sources": WORDS, "weights": [0.9, 0.1]}]}]})
    assert (drawn.targets, drawn.weights) == (("",), ((0.9, 0.1),))


def test_hops_are_counted_and_the_finest_of_several_maps_is_shown() -> None:
    sentences = {"sources": [WORDS[0]], "weights": [1.0]}
    hops = {"sources": WORDS, "targets": None, "weights": [[1.0, 0.0], [0.0, 1.0]]}
    drawn = read_map({"answers": [{"attention": [sentences, hops]}]})
    assert (drawn.sources, drawn.targets) == (("two", "dogs"), ("hop 1", "hop 2"))


def test_a_turned_map_has_its_sources_down_the_side() -> None:
    turned = read_map(TRANSLATED).turned()
    assert (turned.sources, turned.targets) == (("zwei", "<eos>"), ("two", "dogs"))
    assert turned.weights == ((0.75, 0.5), (0.25, 0.5))


def client(asked: list[Any]) -> httpx.Client:
    """Of a service that has the model `m` alone."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/models":
            return httpx.Response(200, json={"models": [{"name": "m"}]})
        asked.append((request.url.path, json.loads(request.content)))
        return httpx.Response(200, json=TRANSLATED)

    return httpx.Client(base_url="http://service", transport=httpx.MockTransport(answer))


def test_pictures_are_drawn_of_the_models_that_are_served(tmp_path: Path) -> None:
    asked: list[Any] = []
    wanted = [
        Asked(file=f"{model}.svg", title="Title", path="/v1/translate", body={"model": model, "text": "two dogs"})
        for model in ("m", "other")
    ]
    drawn = list(draw_maps(wanted, client(asked), tmp_path))
    assert drawn == [(wanted[0], tmp_path / "m.svg"), (wanted[1], None)]
    assert asked == [("/v1/translate", {"model": "m", "text": "two dogs", "explain": True})]
    picture = (tmp_path / "m.svg").read_text()
    assert all(word in picture for word in ("zwei", "dogs", "Title"))


def test_a_service_that_does_not_answer_is_told(tmp_path: Path) -> None:
    with (
        httpx.Client(base_url="http://127.0.0.1:9") as nobody,
        pytest.raises(ConfigError, match=r"http://127.0.0.1:9.*: .*; start the service"),
    ):
        list(draw_maps([], nobody, tmp_path))


def test_the_guide_shows_pictures_that_are_listed() -> None:
    guide = (ROOT / "docs" / "architectures.md").read_text("utf-8")
    listed = [one.file for one in load_maps(ROOT / "docs" / "maps.yaml")]
    shown = [part.partition(")")[0] for part in guide.split("(images/maps-")[1:]]
    assert shown
    assert {f"maps-{name}" for name in shown} <= set(listed)
