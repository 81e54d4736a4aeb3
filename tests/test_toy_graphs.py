"""The graphs in tests/data/graphs are what the script beside them makes."""

from __future__ import annotations

from tests.data.graphs.make import make_all
from tests.service.runtime.toy_graphs import FOLDER


def test_the_graphs_are_those_of_the_script() -> None:
    made = make_all()
    assert {path.name for path in FOLDER.glob("*.onnx")} == made.keys()
    for name, content in made.items():
        assert (FOLDER / name).read_bytes() == content, f"{name}: run python -m tests.data.graphs.make"
