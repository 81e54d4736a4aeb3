"""Translations and captions in one process: neither engine waits for the other, told by counts of graph runs."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.inputs import image_row, text_row
from service.runtime.bundle import open_bundle
from service.runtime.decoding import DecodingEngine, EngineSettings
from service.runtime.requests import GenerateRequest, Search
from service.runtime.stepper import Encoder, Stepper

BUNDLES = Path(__file__).parents[2] / "data" / "bundles" / "v1"
TRANSLATIONS, CAPTIONS = "tiny-en-de", "tiny-captions"
OTHER = {TRANSLATIONS: CAPTIONS, CAPTIONS: TRANSLATIONS}


class Runs:
    """Counts the graph runs of each engine that have come to their end, and can hold up those of one of them."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.held: str | None = None
        self.holding, self.released = threading.Event(), threading.Event()

    def around(self, run: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            name = threading.current_thread().name.removeprefix("decoding-")
            if name == self.held:
                self.holding.set()
                assert self.released.wait(60)
            result = run(*arguments)
            self.done[name] += 1
            return result

        return counted


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    runs = Runs()
    monkeypatch.setattr(Encoder, "run", runs.around(Encoder.run))
    monkeypatch.setattr(Stepper, "step", runs.around(Stepper.step))
    return runs


@pytest.fixture
def engines(runs: Runs) -> Iterator[dict[str, DecodingEngine]]:
    engines = {
        name: DecodingEngine(open_bundle(BUNDLES / name, precision="int8", provider="cpu"), EngineSettings(slots=8))
        for name in OTHER
    }
    for engine in engines.values():
        engine.start()
    yield engines
    runs.released.set()
    for engine in engines.values():
        engine.close(drain=False)


def make_request(engine: DecodingEngine, seed: int) -> GenerateRequest:
    rng = np.random.default_rng(seed)
    manifest = engine.bundle.manifest
    search = Search(beam_size=1 + seed % 2, max_length=12)
    if manifest.task == "caption":
        size = manifest.image.size
        return GenerateRequest(image_row(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)), search)
    return GenerateRequest(text_row(rng.integers(4, 60, rng.integers(1, 20)).tolist()), search)


@pytest.mark.parametrize("held", [TRANSLATIONS, CAPTIONS])
def test_while_a_run_of_one_engine_goes_on_the_other_serves_everybody(
    engines: dict[str, DecodingEngine], runs: Runs, held: str
) -> None:
    """So whatever waits, waits for no run of the other engine at all."""
    busy, free = engines[held], engines[OTHER[held]]
    expected = busy.submit(make_request(busy, 0)).future.result(30).hypotheses
    runs.held = held
    before = runs.done[held]
    waiting = busy.submit(make_request(busy, 0))
    assert runs.holding.wait(30)
    served = [free.submit(make_request(free, seed)) for seed in range(30)]
    finished, unfinished = wait([ticket.future for ticket in served], 60)
    assert (len(finished), len(unfinished)) == (30, 0)
    assert runs.done[held] == before
    assert not waiting.future.done()
    runs.released.set()
    assert waiting.future.result(30).hypotheses == expected


def test_under_load_on_both_a_request_waits_for_a_bounded_number_of_the_other_s_runs(
    engines: dict[str, DecodingEngine], runs: Runs
) -> None:
    """Each engine has four requests at a time; a client's requests are taken together, for the system divides time."""
    stop = threading.Event()

    def ask(name: str, client: int) -> float:
        """Runs of the other engine for each of one's own, while this client waited."""
        own = other = 0
        for seed in range(15):
            before = dict(runs.done)
            engines[name].submit(make_request(engines[name], 100 * client + seed)).future.result(60)
            own += runs.done[name] - before.get(name, 0)
            other += runs.done[OTHER[name]] - before.get(OTHER[name], 0)
        return other / own

    def keep_busy(name: str, client: int) -> None:
        seed = 0
        while not stop.is_set():
            engines[name].submit(make_request(engines[name], 1000 * client + seed)).future.result(60)
            seed += 1

    with ThreadPoolExecutor(8) as pool:
        load = [pool.submit(keep_busy, name, client) for name in OTHER for client in range(2)]
        shares = [pool.submit(ask, name, client) for name in OTHER for client in (10, 20)]
        wait(shares, 120)
        stop.set()
    assert all(future.exception() is None for future in load)
    assert max(future.result() for future in shares) < 25
