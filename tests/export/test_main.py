from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contract.manifest import Manifest, load_manifest
from export.__main__ import app
from export.text import TextMaterial
from tests.export.test_package import SCORE

RUNNER = CliRunner()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing-run", "--output", "artifacts/toy"], "missing-run is not a finished run"),
        (["missing-run"], "Missing option '--output'"),
        (["missing-run", "--output", "x", "--precisions", "fp8"], "fp8: the precisions are fp32, int8, fp16"),
        (["missing-run", "--output", "x", "--precisions", "int8"], "fp16 cannot ship without being made"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(arguments: list[str], message: str) -> None:
    result = RUNNER.invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code != 0
    assert message in result.output
    assert "Traceback" not in result.output


def test_scores_are_recorded_from_a_file(bundle: tuple[Path, Manifest, TextMaterial], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundle[0], tmp_path / "toy" / "1"))
    scores = tmp_path / "scores.json"
    scores.write_text(json.dumps([SCORE.model_dump()]))
    result = RUNNER.invoke(app, ["record", str(folder), str(scores)])
    assert result.exit_code == 0, result.output
    assert result.output == "toy 1: 3 scores\n"
    assert SCORE in load_manifest(folder).scores


def test_help_names_both_commands() -> None:
    result = RUNNER.invoke(app, ["--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "bundle" in result.output
    assert "record" in result.output
