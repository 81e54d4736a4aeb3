"""Cold start to `/readyz` and to a first reply, and resident memory, above an empty BentoML service in the same run."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.items import Catalogue
from contract.manifest import load_manifest
from contract.preprocessing import (
    ImagePreprocessing,
    ItemPreprocessing,
    PixelPreprocessing,
    PromptPreprocessing,
    StoryPreprocessing,
)
from contract.text import InputCodec
from contract.versions import latest_version
from loadtest.bench.client import post_all
from loadtest.bench.measure import Spread
from loadtest.bench.server import ROOT, Server, run_server, run_service
from loadtest.bench.table import Table
from loadtest.pictures import make_photograph

_EMPTY = ["-m", "bentoml", "serve", "loadtest.bench.empty:Empty", "--working-dir", str(ROOT), "--host", "127.0.0.1"]
_MEGABYTE = 1e6
_TEXT = "A man in a blue shirt is riding a bicycle."


@dataclass(frozen=True)
class Start:
    """Of one service: seconds to the first 200 of `/readyz`, CPU seconds spent by then, and resident bytes then."""

    seconds: Spread
    cpu_seconds: Spread
    resident_bytes: Spread


@dataclass(frozen=True)
class Alone:
    """A bundle served alone: seconds from the start of the process to a first reply, and resident bytes then."""

    bundle: str
    first_reply: Spread
    resident_bytes: Spread


@dataclass(frozen=True)
class Startup:
    """All that was measured; `bundles` are the names served."""

    bundles: list[str]
    service: Start
    empty: Start
    alone: list[Alone]

    def tables(self) -> list[Table]:
        """One row a service, and the difference; then one row a bundle."""
        rows = [
            _row(f"service with {', '.join(self.bundles)}", self.service),
            _row("empty BentoML service", self.empty),
        ]
        above = (
            f"{self.service.seconds.median - self.empty.seconds.median:.2f} s",
            f"{self.service.cpu_seconds.median - self.empty.cpu_seconds.median:.2f} s",
            f"{(self.service.resident_bytes.median - self.empty.resident_bytes.median) / _MEGABYTE:.0f} MB",
        )
        return [
            Table(
                f"Medians of {len(self.service.seconds.values)} starts, taking turns",
                ("", "to /readyz", "CPU until then", "resident"),
                [*rows, ("above the empty one", *above)],
            ),
            Table(
                "Each bundle served alone: from the start to a first reply, and resident memory then; medians",
                ("", "to a first reply", "resident", "above the empty service"),
                [self._alone_row(alone) for alone in self.alone],
            ),
        ]

    def _alone_row(self, alone: Alone) -> tuple[str, ...]:
        resident, empty = alone.resident_bytes.median, self.empty.resident_bytes.median
        above = f"{(resident - empty) / _MEGABYTE:.0f} MB"
        return alone.bundle, f"{alone.first_reply.median:.2f} s", f"{resident / _MEGABYTE:.0f} MB", above


def measure_startup(
    bundles: Sequence[Path], *, repeats: int, report: Callable[[str], None] = lambda _: None
) -> Startup:
    """Start both services, and one for each bundle, `repeats` times, taking turns."""
    service: list[tuple[float, float, float]] = []
    empty: list[tuple[float, float, float]] = []
    alone: dict[str, list[tuple[float, float]]] = {bundle.name: [] for bundle in bundles}
    for repeat in range(repeats):
        report(f"start {repeat + 1} of {repeats}")
        with run_service(bundles) as server:
            service.append(_look(server))
        with run_server(_EMPTY) as server:
            empty.append(_look(server))
        for bundle in bundles:
            alone[bundle.name].append(_first_reply(bundle))
    each = [Alone(name, *(Spread(values) for values in zip(*looks, strict=True))) for name, looks in alone.items()]
    return Startup([bundle.name for bundle in bundles], _start(service), _start(empty), each)


def first_request(bundle: Path) -> tuple[str, bytes]:
    """Path and JSON body of a short request to the newest version of a bundle `NAME/`."""
    folder = latest_version(bundle)
    manifest = load_manifest(folder)
    body: dict[str, object] = {"text": _TEXT}
    if isinstance(manifest.preprocessing, ItemPreprocessing):
        body = {"session": Catalogue.load(folder / manifest.preprocessing.catalogue).ids[:1]}
    elif isinstance(manifest.preprocessing, StoryPreprocessing):
        codec = InputCodec.load(folder / manifest.preprocessing.tokenizer)
        (known,) = codec.tokens([codec.vocabulary_size - 1])
        body = {"story": [known], "question": known}
    elif isinstance(manifest.preprocessing, PromptPreprocessing):
        body = {"prompt": ""}
    elif isinstance(manifest.preprocessing, ImagePreprocessing | PixelPreprocessing):
        body = {"image": base64.b64encode(make_photograph(1)).decode()}
    return f"/v1/{manifest.task}", json.dumps(body).encode()


def _first_reply(bundle: Path) -> tuple[float, float]:
    """Seconds and bytes of a bundle served alone."""
    path, body = first_request(bundle)
    with run_service([bundle]) as server:
        asked = time.perf_counter()
        post_all(server.url + path, [body], connections=1)
        return server.ready_seconds + time.perf_counter() - asked, float(server.resident_bytes())


def _look(server: Server) -> tuple[float, float, float]:
    return server.ready_seconds, server.cpu_seconds(), server.resident_bytes()


def _start(looks: list[tuple[float, float, float]]) -> Start:
    return Start(*(Spread(values) for values in zip(*looks, strict=True)))


def _row(name: str, start: Start) -> tuple[str, ...]:
    seconds, cpu, resident = start.seconds.median, start.cpu_seconds.median, start.resident_bytes.median
    return name, f"{seconds:.2f} s", f"{cpu:.2f} s", f"{resident / _MEGABYTE:.0f} MB"
