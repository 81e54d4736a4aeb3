"""What a running service says of itself: sums over its metrics."""

from __future__ import annotations

from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from loadtest.bench.server import Server


class Figures:
    """The metrics of a service at one moment."""

    def __init__(self, text: str) -> None:
        self._samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    @classmethod
    def of(cls, server: Server) -> Figures:
        """Those of a running service, now."""
        with urlopen(f"{server.url}/metrics") as reply:  # noqa: S310  # our own server
            return cls(reply.read().decode())

    def total(self, name: str, **labels: str) -> float:
        """Sum of the samples of a name with these labels: 0 where there is none."""
        chosen = (each for each in self._samples if each.name == name and labels.items() <= each.labels.items())
        return float(sum(sample.value for sample in chosen))
