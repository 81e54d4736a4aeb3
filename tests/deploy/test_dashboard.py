"""The dashboard and the rules, asked of a real Prometheus that scrapes a real service."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy.manifests import DASHBOARD, METRIC, ROOT, Document, adapter_rule, panels, rules
from tests.deploy.prometheus import LABELS, Prometheus, scraping
from tests.service.live import TIMEOUT, serve

NEEDS_GPU = {"GPU utilisation", "GPU memory"}
"""The panels that are empty without a GPU; every other shows something after a handful of requests."""
VARIABLES = {"$__rate_interval": "1m", "$job": "seqserve", "$instance": ".*", "$model": ".*"}
PICTURE = base64.b64encode((ROOT / "docs" / "images" / "camera.jpg").read_bytes()).decode()
BODIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("translate", {"text": ["A red child sings on the street.", "It sleeps. An old cat runs!"]}),
    ("classify", {"text": ["A good film.", "No."]}),
    ("tag", {"text": "Angela flew to Berlin."}),
    ("caption", {"image": PICTURE}),
)
REFUSED = "classify", {"text": ""}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Prometheus]]:
    with (
        serve(tmp_path_factory.mktemp("service")) as (_, url),
        scraping(url, tmp_path_factory.mktemp("prometheus")) as prometheus,
    ):
        yield url, prometheus


def expressions(panel: Document) -> list[str]:
    found = [str(target["expr"]) for target in panel["targets"]]
    for name, value in VARIABLES.items():
        found = [expression.replace(name, value) for expression in found]
    return found


def names_of(url: str) -> set[str]:
    """Every metric that the service declares, and what becomes of it in Prometheus."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics", timeout=TIMEOUT).text)
    return {family.name + suffix for family in families for suffix in suffixes.get(family.type, ())}


def test_every_query_of_every_panel_returns_data(watched: tuple[str, Prometheus]) -> None:
    url, prometheus = watched
    queries = [(panel["title"], expression) for panel in panels() for expression in expressions(panel)]
    empty, end = queries, time.monotonic() + TIMEOUT
    with httpx.Client(base_url=url, timeout=TIMEOUT) as client:
        # What is counted for the first time is there from one scrape to the next, and grows with the one after.
        while {title for title, _ in empty} - NEEDS_GPU and time.monotonic() < end:
            statuses = [client.post(f"/v1/{task}", json=body).status_code for task, body in (*BODIES, REFUSED)]
            assert statuses == [200] * len(BODIES) + [422]
            time.sleep(0.5)
            empty = [(title, expression) for title, expression in queries if not prometheus.values(expression)]
    assert [(title, expression) for title, expression in empty if title not in NEEDS_GPU] == []
    # The list is no longer than it must be.
    gpus = prometheus.values("seqserve_gpu_memory_total_bytes")
    assert {title for title, _ in empty} == (set() if gpus else NEEDS_GPU)


def test_every_metric_that_is_named_exists(watched: tuple[str, Prometheus]) -> None:
    url, _ = watched
    exists = names_of(url) | {"up"}
    texts = [rule["expr"] for rule in rules()] + [expression for panel in panels() for expression in expressions(panel)]
    texts += [adapter_rule()["seriesQuery"], adapter_rule()["metricsQuery"]]
    scraped = {name for text in texts for name in METRIC.findall(text)}
    assert len(scraped) > 20
    assert scraped - exists == set()
    variables = json.loads(DASHBOARD.read_text(encoding="utf-8"))["templating"]["list"]
    assert {name for each in variables for name in METRIC.findall(each.get("definition", ""))} <= exists


def test_reasons_that_alerts_look_for_are_counted_from_nothing(watched: tuple[str, Prometheus]) -> None:
    _, prometheus = watched
    reasons = {
        reason
        for rule in rules()
        for found in re.findall(r'reason=~?"([^"]+)"', rule["expr"])
        for reason in found.split("|")
    }
    assert len(reasons) == 3
    tasks = prometheus.values("group by (task) (seqserve_model_info)")
    for reason in reasons:
        assert prometheus.values(f'seqserve_rejected_total{{reason="{reason}"}}') == [0] * len(tasks)


def test_every_rule_is_evaluated_and_none_fires(watched: tuple[str, Prometheus]) -> None:
    _, prometheus = watched
    evaluated: list[Document] = []
    end = time.monotonic() + TIMEOUT
    while len(evaluated) < len(rules()) and time.monotonic() < end:
        groups = prometheus.ask("rules")["groups"]
        evaluated = [rule for group in groups for rule in group["rules"] if rule["health"] != "unknown"]
        time.sleep(0.1)
    assert {rule["name"] for rule in evaluated} == {rule.get("record") or rule["alert"] for rule in rules()}
    assert [(rule["name"], rule.get("lastError")) for rule in evaluated if rule["health"] != "ok"] == []
    firing = [alert for rule in evaluated for alert in rule.get("alerts", ()) if alert["state"] == "firing"]
    assert firing == []


def test_the_autoscaler_s_figure_is_there_for_each_pod(watched: tuple[str, Prometheus]) -> None:
    _, prometheus = watched
    rule = adapter_rule()
    series, _, selector = rule["seriesQuery"].partition("{")
    assert prometheus.values(f"{series}{{{selector}")
    query = rule["metricsQuery"]
    matchers = ",".join(f'{name}="{value}"' for name, value in LABELS.items())
    for template, value in (("<<.Series>>", series), ("<<.LabelMatchers>>", matchers), ("<<.GroupBy>>", "pod")):
        query = query.replace(template, value)
    (found,) = prometheus.ask("query", query=query)["result"]
    assert found["metric"] == {"pod": LABELS["pod"]}
    assert 0 <= float(found["value"][1]) < TIMEOUT


def test_panels_have_their_place() -> None:
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    taken = [
        (x, y)
        for panel in board["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) == 23
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(panel["description"] and panel["fieldConfig"]["defaults"]["unit"] for panel in panels())
