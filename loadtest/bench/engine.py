"""Our side of the comparison: the decoding engine in this process, always with so many requests outstanding."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from contract.manifest import Precision
from service.runtime.bundle import Bundle, open_bundle
from service.runtime.decoding import DecodingEngine, EngineSettings
from service.runtime.newcomers import Ticket
from service.runtime.requests import GenerateRequest, Generation, Search
from service.runtime.session import configure_threads


def open_on_one_core(folder: Path, precision: Precision | None = None) -> Bundle:
    """A bundle on the CPU, in a process whose inference takes one thread."""
    configure_threads(1)
    return open_bundle(folder, precision=precision, provider="cpu")


def start_engine(bundle: Bundle, settings: EngineSettings | None = None) -> DecodingEngine:
    """A warm engine of a bundle, as the service runs it."""
    engine = DecodingEngine(bundle, settings)
    engine.start()
    return engine


def to_requests(bundle: Bundle, texts: Sequence[str], search: Search) -> list[GenerateRequest]:
    """Tokenised requests, ready to be submitted."""
    return [
        GenerateRequest({"source_ids": ids, "source_lengths": np.asarray(len(ids), dtype=np.int64)}, search)
        for ids in (np.asarray(bundle.source.source(text).ids, dtype=np.int64) for text in texts)
    ]


def to_texts(bundle: Bundle, generations: Sequence[Generation]) -> list[str]:
    """The best text of each."""
    return [bundle.target.decode(generation.hypotheses[0].token_ids) for generation in generations]


def run_closed_loop(engine: DecodingEngine, requests: Sequence[GenerateRequest], outstanding: int) -> list[Generation]:
    """Decode all requests with `outstanding` of them submitted at any time: as one is done, the next comes in."""
    return _ClosedLoop(engine, requests, outstanding).run()


class _ClosedLoop:
    def __init__(self, engine: DecodingEngine, requests: Sequence[GenerateRequest], outstanding: int) -> None:
        self._engine = engine
        self._requests = requests
        self._outstanding = min(outstanding, len(requests))
        self._left = len(requests)
        self._tickets: list[Ticket] = []
        self._lock = threading.RLock()
        self._over = threading.Event()

    def run(self) -> list[Generation]:
        for _ in range(self._outstanding):
            self._submit()
        self._over.wait()
        return [ticket.future.result() for ticket in self._tickets]

    def _submit(self) -> None:
        with self._lock:
            if len(self._tickets) == len(self._requests):
                return
            ticket = self._engine.submit(self._requests[len(self._tickets)])
            self._tickets.append(ticket)
        ticket.future.add_done_callback(self._done)

    def _done(self, _: Future[Generation]) -> None:
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._over.set()
        self._submit()
