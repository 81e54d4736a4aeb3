"""The comparison with what a user would take in its place: what is asked, what is compared, what is shown."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from contract.items import Catalogue
from contract.manifest import BundleError
from contract.versions import latest_version
from loadtest.bench.asked import random_sessions, what_to_ask
from loadtest.bench.corpus import Corpus
from loadtest.bench.gpu import read_mean
from loadtest.bench.peer_tables import Peers, draw_peers
from loadtest.bench.peers import Look, Point, Served, Task, measure_task
from loadtest.bench.rivals.bare import create_app
from loadtest.bench.systems import PEERS, SERVICE, Conditions, System, read_answer, write_body

CATALOGUE = Catalogue(tuple(range(100, 400)), (1, 2, 3))
BUNDLES = Path(__file__).resolve().parents[1] / "data" / "bundles" / "v1"


def test_sessions_are_as_long_as_those_of_a_shop() -> None:
    sessions = random_sessions(CATALOGUE, 5000)
    lengths = Counter(map(len, sessions))
    assert min(lengths) == 1
    assert max(lengths) <= 50
    assert np.mean([len(session) for session in sessions]) == pytest.approx(4.6, abs=0.2)
    assert {item for session in sessions for item in session} == set(CATALOGUE.ids)
    assert random_sessions(CATALOGUE, 10) == sessions[:10]


def look(rate: float, gpu: float | None = None) -> Look:
    return Look(rate, 0.01, 0.02, 0.03, 0.004, 2e8, gpu)


def points(*rates: tuple[float, float], gpu: float | None = None) -> list[Point]:
    """At 1 and 64 connections, run by run."""
    return [Point(count, [look(rate, gpu) for rate in run]) for count, run in zip((1, 64), rates, strict=True)]


def test_the_tables_show_every_system_and_name_each_missed_target() -> None:
    ours = Served("seqserve", points((10, 12), (200, 180)), same=1.0)
    fast = Served("fast", points((11, 12), (100, 120)), same=0.97)
    slow = Served("slow", points((5, 5), (50, 50)), same=0.5)
    gone = Served("gone", [Point(1), Point(64)], missing="no | torch")
    task, targets = Peers("CPU", [Task("translate", "small", [ours, fast, slow, gone])]).tables()
    assert task.caption.startswith("/v1/translate on small, CPU; medians of 2 runs")
    assert task.rows[0] == ("seqserve", "1", "11.0 (10.0–12.0)", "10.00", "20.00", "30.00", "4.00", "200", "100%")
    assert task.rows[-1] == ("gone: cannot run here (no / torch)", *"–" * 8)
    assert len(task.rows) == 7
    assert targets.rows == [
        ("/v1/translate", "1", "fast", "0.95× (0.91–1.00)", "0.90×", "met"),
        ("/v1/translate", "64", "fast", "1.75× (1.50–2.00)", "1.50×", "met"),
    ]
    missed = Peers("CPU", [Task("classify", "small", [ours, Served("fast", points((20, 24), (200, 180)))])]).tables()[
        -1
    ]
    assert [row[-1] for row in missed.rows] == ["**missed by 0.40×**", "**missed by 0.20×**"]
    # Faster, but it gave up in the second run.
    failed = Served("failed", points((90,), (900,)), missing="answered 500")
    assert Peers("CPU", [Task("translate", "small", [ours, fast, slow, failed])]).tables()[-1].rows == targets.rows
    alone = Peers("CPU", [Task("classify", "small", [ours, gone])]).tables()[-1]
    assert {row[-1] for row in alone.rows} == {"not measured: nothing to compare"}


def test_where_there_is_a_gpu_the_table_says_how_busy_it_was(tmp_path: Path) -> None:
    ours = Served("seqserve", points((10, 12), (200, 180), gpu=0.5), same=1.0)
    peers = Peers("1 × A100", [Task("caption", "small", [ours])])
    assert peers.tables()[0].columns[-1] == "GPU busy"
    assert peers.tables()[0].rows[0][-1] == "50%"
    draw_peers(peers, tmp_path / "peers.svg")
    assert "/v1/caption" in (tmp_path / "peers.svg").read_text("utf-8")
    assert read_mean("40\n[N/A]\n 60\n") == 0.5
    assert read_mean("[N/A]\n") is None


class Backwards:
    """Answers with what it was asked, the other way round."""

    def read(self, asked: Any) -> Any:
        return {"asked": asked}

    def run(self, rows: Any) -> Any:
        return [{"asked": row["asked"][::-1]} for row in rows]

    def write(self, outputs: Any) -> dict[str, Any]:
        return {"found": outputs["asked"]}


def test_the_bare_app_answers_one_request_at_a_time() -> None:
    client = TestClient(create_app(Backwards()))
    assert client.get("/readyz").status_code == 200
    reply = client.post("/predict", content=json.dumps({"asked": "abc"}))
    assert reply.json() == {"found": "cba"}


def test_every_system_is_asked_the_same_and_replies_are_compared_by_what_they_say() -> None:
    bento, bare = PEERS[0], PEERS[-1]
    assert json.loads(write_body(SERVICE, "recommend", [1, 2])) == {"session": [1, 2]}
    assert json.loads(write_body(SERVICE, "translate", "a")) == {"text": "a", "beam_size": 1}
    assert json.loads(write_body(bare, "recommend", [1, 2])) == {"asked": [1, 2]}
    assert json.loads(write_body(bento, "recommend", [1, 2])) == {"asked": [[1, 2]]}
    assert read_answer(b'{"model": "m", "translations": [{"text": "Hund", "score": -1}]}') == "Hund"
    assert read_answer(b'[{"predictions": [{"label": "good", "labels": []}]}]') == "good"
    assert read_answer(b'{"recommendations": [{"items": [{"item": 7}, {"item": 8}]}]}') == "7"


def test_each_task_has_something_to_ask(corpus: Corpus) -> None:
    asked = {
        name: what_to_ask(latest_version(BUNDLES / name), corpus, None)[0] for name in ("tiny-classify", "tiny-items")
    }
    assert asked["tiny-classify"] == corpus.sources[0]
    assert isinstance(asked["tiny-items"], list)
    with pytest.raises(BundleError, match="its task is tag: name one of translate, classify, recommend, caption"):
        what_to_ask(latest_version(BUNDLES / "tiny-tag"), corpus, None)


def test_systems_take_turns_and_one_that_cannot_run_is_told(corpus: Corpus) -> None:
    # The small translator was exported from an earlier architecture: its weights cannot be had back.
    broken = System("Starlette, PyTorch", "bare", "torch")
    found = measure_task(
        latest_version(BUNDLES / "tiny-en-de"),
        corpus,
        Conditions(),
        connections=(1, 4),
        seconds=0.1,
        repeats=1,
        peers=(PEERS[-1], broken),
    )
    ours, bare, missing = found.served
    assert (found.task, found.model) == ("translate", "tiny-en-de")
    assert [len(point.looks) for point in (*ours.points, *bare.points, *missing.points)] == [1, 1, 1, 1, 0, 0]
    assert (ours.same, bare.same) == (1, 1), "the same graphs write the same"
    assert missing.missing is not None
    assert "exported from an earlier transformer" in missing.missing
    for point in (*ours.points, *bare.points):
        assert point.looks[0].p99 >= point.looks[0].p95 >= point.looks[0].p50 > 0
        assert point.looks[0].resident_bytes > 1e7
