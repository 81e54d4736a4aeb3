"""The comparison of one-shot servers: what is asked, what is counted, what is shown."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from contract.items import Catalogue
from loadtest.bench.measure import Spread
from loadtest.bench.oneshot import BARE, BENTOML, SERVICE, OneShot, Route, Served, _body, random_sessions
from loadtest.bench.rivals.bare import create_app
from loadtest.bench.rivals.plain import Plain

CATALOGUE = Catalogue(tuple(range(100, 400)), (1, 2, 3))


def test_sessions_are_as_long_as_those_of_a_shop() -> None:
    sessions = random_sessions(CATALOGUE, 5000)
    lengths = Counter(map(len, sessions))
    assert min(lengths) == 1
    assert max(lengths) <= 50
    assert np.mean([len(session) for session in sessions]) == pytest.approx(4.6, abs=0.2)
    assert {item for session in sessions for item in session} == set(CATALOGUE.ids)
    assert random_sessions(CATALOGUE, 10) == sessions[:10]


def test_shares_are_of_the_ceiling() -> None:
    def served(system: str, rate: float, p50: float, batch: float | None) -> Served:
        return Served(system, *(Spread((value,)) for value in (rate, p50, 2 * p50, 3 * p50)), batch)

    route = Route(
        "/v1/classify", "sentiment", "int8", [served(SERVICE, 1500, 0.01, 12.25), served(BARE, 2000, 0.02, None)]
    )
    (table,) = OneShot(100, [route]).tables()
    assert table.rows == [
        (SERVICE, "1,500", "75%", "10.0", "20.0", "30.0", "3.0×", "12.2"),
        (BARE, "2,000", "100%", "20.0", "40.0", "60.0", "3.0×", "–"),
    ]
    assert table.caption.startswith("/v1/classify on sentiment (int8), 64 connections, medians of 1 × 100 requests")


class Backwards(Plain):
    """Answers with what it was asked, the other way round."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

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


def test_every_system_is_asked_the_same() -> None:
    assert json.loads(_body(SERVICE, "session", [1, 2])) == {"session": [1, 2]}
    assert json.loads(_body(BARE, "session", [1, 2])) == {"asked": [1, 2]}
    assert json.loads(_body(BENTOML, "session", [1, 2])) == {"asked": [[1, 2]]}
