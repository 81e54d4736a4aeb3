"""Every recording and alert rule does what a test of its own expects, by Prometheus' own tool."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.manifests import DEPLOY, load, rules
from tests.deploy.prometheus import TOOLS

TESTS = sorted((Path(__file__).parent / "rules").glob("*.yaml"))


def promtool(*arguments: str) -> str:
    """What it says; it must be content."""
    result = subprocess.run([TOOLS / "promtool", *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def expectations(kind: str) -> Iterator[dict[str, Any]]:
    for path in TESTS:
        for test in load(path)["tests"]:
            yield from test.get(kind, ())


def test_the_scrape_config_is_valid_and_takes_the_rules() -> None:
    said = promtool("check", "config", "--lint=all", "--lint-fatal", str(DEPLOY / "prometheus" / "prometheus.yaml"))
    assert said.count("rules found") == 2


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_rules_do_what_their_tests_expect(path: Path) -> None:
    assert "SUCCESS" in promtool("test", "rules", str(path))


def test_every_alert_is_seen_to_fire_and_to_be_silent() -> None:
    known = {rule["alert"] for rule in rules() if "alert" in rule}
    expected = list(expectations("alert_rule_test"))
    assert {each["alertname"] for each in expected if each.get("exp_alerts")} == known
    assert {each["alertname"] for each in expected if not each.get("exp_alerts")} == known


def test_every_recorded_figure_is_compared_with_a_number() -> None:
    expected = [each["expr"] for each in expectations("promql_expr_test") if each["exp_samples"]]
    assert [rule["record"] for rule in rules() if not any(rule.get("record", "") in expr for expr in expected)] == []
