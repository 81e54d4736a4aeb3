"""A real Prometheus on a real port, scraping a real service by the project's own config."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.deploy.manifests import DEPLOY, ROOT, load
from tests.service.live import TIMEOUT, free_port

TOOLS = ROOT / ".prometheus"
"""Where `make test` puts prometheus and promtool."""
LABELS = {"namespace": "seqserve", "pod": "seqserve-0"}
"""What scraping on a cluster adds to every series."""


class Prometheus:
    """What it knows."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT)

    def ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def ask(self, path: str, **parameters: str) -> Any:
        """The data of an answer.

        Raises:
            AssertionError: with what it says is wrong.
        """
        reply = self._client.get(f"/api/v1/{path}", params=parameters).json()
        assert reply["status"] == "success", f"{parameters}: {reply.get('error')}"
        return reply["data"]

    def values(self, expression: str) -> list[float]:
        """The values of an expression now, one of each series, without those that are no number."""
        found = (float(series["value"][1]) for series in self.ask("query", query=expression)["result"])
        return [value for value in found if not math.isnan(value)]

    def close(self) -> None:
        self._client.close()


@contextmanager
def scraping(url: str, home: Path) -> Iterator[Prometheus]:
    """A Prometheus that scrapes a service every second; stopped at the end."""
    config = load(DEPLOY / "prometheus" / "prometheus.yaml")
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / "prometheus" / name) for name in config["rule_files"]]
    (job,) = config["scrape_configs"]
    job["static_configs"] = [{"targets": [url.removeprefix("http://")], "labels": LABELS}]
    (home / "prometheus.yaml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command = [
        TOOLS / "prometheus",
        f"--config.file={home / 'prometheus.yaml'}",
        f"--storage.tsdb.path={home / 'data'}",
    ]
    with (home / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address={address}"], stdout=log, stderr=subprocess.STDOUT, cwd=home
        )
        prometheus = Prometheus(f"http://{address}")
        try:
            end = time.monotonic() + TIMEOUT
            while not prometheus.ready():
                assert process.poll() is None, (home / "prometheus.log").read_text()
                assert time.monotonic() < end, (home / "prometheus.log").read_text()
                time.sleep(0.05)
            yield prometheus
        finally:
            prometheus.close()
            process.terminate()
            process.wait(TIMEOUT)
