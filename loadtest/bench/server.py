"""A server in processes of its own: started on a free port, watched from outside, and ended."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import psutil

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
_POLL_SECONDS = 0.01
_START_SECONDS = 300.0
_STOP_SECONDS = 40.0
_OWN_SETTINGS = "SEQSERVE_"


class ServerError(RuntimeError):
    """The server did not come up or did not end; the message carries what it printed."""


@dataclass(frozen=True)
class Server:
    """A running server that has answered its first probe."""

    process: psutil.Process
    port: int
    ready_seconds: float
    """From the start of its process to the first 200 of `/readyz`."""

    @property
    def url(self) -> str:
        """Its root."""
        return f"http://{HOST}:{self.port}"

    def cpu_seconds(self) -> float:
        """CPU seconds that its live processes have used so far."""
        times = [process.cpu_times() for process in self._tree()]
        return float(sum(spent.user + spent.system for spent in times))

    def resident_bytes(self) -> int:
        """Resident memory of its processes together; pages that they share count once for each."""
        return int(sum(process.memory_info().rss for process in self._tree()))

    def _tree(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextmanager
def run_service(bundles: Sequence[Path], *options: str, settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """`python -m service serve` on bundles `NAME/`, the newest version of each, and no others.

    `settings` are the service's, by their names in lower case.
    """
    with TemporaryDirectory() as folder:
        for bundle in bundles:
            (Path(folder) / bundle.name).symlink_to(bundle.resolve(), target_is_directory=True)
        command = ["-m", "service", "serve", "--bundles", folder, "--host", HOST, *options]
        variables = {f"{_OWN_SETTINGS}{name.upper()}": value for name, value in (settings or {}).items()}
        with run_server(command, variables) as server:
            yield server


@contextmanager
def run_server(command: Sequence[str], variables: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A Python command that serves `/readyz`, from when it is ready to the end of the block.

    `variables` are added to its environment.

    Raises:
        ServerError: it ended, or was not ready in time.
    """
    port = _free_port()
    with TemporaryDirectory() as home, TemporaryFile() as output:
        # Settings of whoever measures are not those of what is measured.
        environment = {key: value for key, value in os.environ.items() if not key.startswith(_OWN_SETTINGS)}
        environment |= {"BENTOML_HOME": home, "BENTOML_DO_NOT_TRACK": "True", **(variables or {})}
        started = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603  # our own command
            [sys.executable, *command, "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            while not is_ready(port):
                if process.poll() is not None or time.perf_counter() - started > _START_SECONDS:
                    output.seek(0)
                    raise ServerError(f"{' '.join(command)} did not get ready:\n{output.read().decode()}")
                time.sleep(_POLL_SECONDS)
            yield Server(psutil.Process(process.pid), port, time.perf_counter() - started)
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end, and see to it."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired as error:
        process.kill()
        raise ServerError(f"the server did not end within {_STOP_SECONDS:g} s of SIGTERM and was killed") from error
    finally:
        # Some servers leave their workers behind.
        for member in family:
            if member.is_running():
                member.kill()


def is_ready(port: int) -> bool:
    """Whether a probe on a new connection is answered by 200."""
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
