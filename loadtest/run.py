"""Locust in a process of its own, because it patches the standard library of any that imports it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.report import Report

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
REPORTS = Path("reports/load")


@dataclass(frozen=True)
class Finished:
    """A run that is through: whether it kept to its thresholds, and what became of its requests.

    `report` is None where the run could not begin.
    """

    passed: bool
    report: Report | None


def locust_command(url: str, name: str, options: Sequence[str]) -> list[str]:
    """The command of a run that leaves its reports, named so, in `reports/load/`."""
    place = REPORTS / name
    command = [sys.executable, "-m", "locust", "--headless", "--only-summary", "--loglevel", "WARNING"]
    command += ["--locustfile", str(LOCUSTFILE), "--host", url, "--out", f"{place}.json"]
    return [*command, "--html", f"{place}.html", "--csv", str(place), *options]


def run_locust(url: str, name: str, options: Sequence[str]) -> Finished:
    """Put load on a service, until the run is through."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    out = REPORTS / f"{name}.json"
    out.unlink(missing_ok=True)
    code = subprocess.run(locust_command(url, name, options), check=False).returncode  # noqa: S603  # our own command
    report = Report.model_validate_json(out.read_text(encoding="utf-8")) if out.is_file() else None
    return Finished(code == 0, report)
