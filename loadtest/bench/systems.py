"""Ways to serve a bundle over HTTP: the service, and what a user would take in its place."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from loadtest.bench.rivals.options import VARIABLE
from loadtest.bench.server import ROOT, Server, is_ready, run_server, run_service

FIELDS = {"translate": "text", "classify": "text", "recommend": "session", "caption": "image"}
"""What a task's request is called by the service."""
_DECODED = ("translate", "caption")
_PROBES = 50


@dataclass(frozen=True)
class System:
    """A framework around an engine; it serves those `tasks`."""

    name: str
    framework: Literal["seqserve", "bento", "lit", "bare"]
    engine: Literal["onnx", "torch", "ctranslate2"] = "onnx"
    tasks: tuple[str, ...] = tuple(FIELDS)


SERVICE = System("seqserve", "seqserve")
PEERS = (
    System("BentoML batchable, PyTorch", "bento", "torch"),
    System("LitServe, PyTorch", "lit", "torch"),
    System("LitServe, ONNX Runtime", "lit", "onnx"),
    System("LitServe, CTranslate2", "lit", "ctranslate2", ("translate",)),
    System("Starlette, ONNX Runtime", "bare", "onnx"),
)


@dataclass(frozen=True)
class Conditions:
    """What all systems get alike: the provider, compute threads of a worker, and workers where they can be had.

    `runs` are training runs that PyTorch takes its weights from, by the name of the bundle; else from the bundle.
    `encode_rows` pictures go through a rival's encoder at a time.
    """

    provider: str = "cpu"
    threads: int = 1
    workers: int = 1
    encode_rows: int = 4
    runs: Mapping[str, Path] = field(default_factory=dict)


@contextmanager
def run_system(system: System, bundle: Path, conditions: Conditions) -> Iterator[Server]:
    """A system on a bundle `NAME/VERSION/`, ready with all its workers.

    Raises:
        ServerError: it cannot serve the bundle; the message ends with why.
    """
    workers = "--workers", str(conditions.workers)
    shared = ["--provider", conditions.provider, "--threads", str(conditions.threads)]
    if system.framework == "seqserve":
        with run_service([bundle.parent], *shared, *workers) as server:
            _await_all(server, conditions.workers)
            yield server
        return
    options = [str(bundle.resolve()), "--engine", system.engine, *shared, "--encode-rows", str(conditions.encode_rows)]
    if run := conditions.runs.get(bundle.parent.name):
        options += ["--run", str(run.resolve())]
    command, variables = ["-m", f"loadtest.bench.rivals.{system.framework}", *options], {}
    if system.framework == "lit":
        command += workers
    elif system.framework == "bento":
        command = ["-m", "bentoml", "serve", "loadtest.bench.rivals.bento:Batched", "--working-dir", str(ROOT)]
        command += ["--host", "127.0.0.1"]
        variables = {VARIABLE: shlex.join(options)}
    with run_server(command, variables) as server:
        yield server


def route(system: System, task: str) -> str:
    """Where a system takes the requests of a task."""
    return f"/v1/{task}" if system.framework == "seqserve" else "/predict"


def write_body(system: System, task: str, asked: Any) -> bytes:
    """A request for one text, session or picture in base64, to be decoded greedily."""
    if system.framework == "seqserve":
        greedy = {"beam_size": 1} if task in _DECODED else {}
        return json.dumps({FIELDS[task]: asked, **greedy}).encode()
    return json.dumps({"asked": [asked] if system.framework == "bento" else asked}).encode()


def read_answer(reply: bytes) -> str:
    """What a reply says, in short: the text, the label or the best item."""
    content = json.loads(reply)
    (result,) = next(v for v in (content[0] if isinstance(content, list) else content).values() if isinstance(v, list))
    return str(result.get("text") or result.get("label") or result["items"][0]["item"])


def _await_all(server: Server, workers: int) -> None:
    """Wait until every worker is ready: each new connection is answered by any of them."""
    in_a_row = 0
    while in_a_row < _PROBES * (workers - 1):
        in_a_row = in_a_row + 1 if is_ready(server.port) else 0
