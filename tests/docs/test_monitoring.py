"""The page on monitoring names every metric and every alert, as they are."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram

from service import metrics
from tests.deploy.manifests import rules

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "monitoring.md").read_text(encoding="utf-8")


def row(metric: Counter | Gauge | Histogram) -> str:
    (family,) = metric.describe()
    name = f"{family.name}_total" if isinstance(metric, Counter) else family.name
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)
    return f"| `{name}` | {labels} | {family.documentation} |"


def test_every_metric_has_its_row() -> None:
    declared = [row(each) for each in vars(metrics).values() if isinstance(each, (Counter, Gauge, Histogram))]
    assert [line for line in PAGE.splitlines() if line.startswith("| `seqserve_")] == declared


def test_every_alert_has_its_row() -> None:
    shown = re.findall(r"^\| `(\w+)` \| [^|]+ \| (critical|warning) \|$", PAGE, re.MULTILINE)
    assert shown == [(rule["alert"], rule["labels"]["severity"]) for rule in rules() if "alert" in rule]
