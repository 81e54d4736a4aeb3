from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from contract.manifest import BundleError, Manifest, Score, load_manifest
from export.errors import ExportError
from export.package import next_version, read_scores, record_scores, staging
from export.text import TextMaterial

SCORE = Score(metric="BLEU", value=38.5, data="toy words", split="test", precision="int8", note="over HTTP")


def test_a_staged_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    with staging(tmp_path / "deep" / "down" / "1") as folder:
        (folder / "file").write_text("half a bundle")
        assert folder.name == "1"
        assert tmp_path in folder.parents
    assert list(tmp_path.iterdir()) == []


def test_versions_count_up(bundle: tuple[Path, Manifest, TextMaterial], tmp_path: Path) -> None:
    assert next_version(tmp_path / "toy") == "1"
    shutil.copytree(bundle[0], tmp_path / "toy" / "9")
    shutil.copytree(bundle[0], tmp_path / "toy" / "10")
    assert next_version(tmp_path / "toy") == "11"
    shutil.copytree(bundle[0], tmp_path / "toy" / "11-rc")
    with pytest.raises(ExportError, match=r"the newest version .* is '11-rc': say which comes next"):
        next_version(tmp_path / "toy")


def test_scores_are_recorded_in_a_bundle_that_stays_sound(
    bundle: tuple[Path, Manifest, TextMaterial], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(bundle[0], tmp_path / "toy" / "1"))
    record_scores(folder.parent, [SCORE])
    manifest = load_manifest(folder)
    assert manifest.scores == (*bundle[1].scores, SCORE)
    assert "| BLEU | 38.50 | toy words, test | int8 | over HTTP |" in (folder / "MODEL_CARD.md").read_text("utf-8")
    record_scores(folder, [SCORE.model_copy(update={"value": 39.0})])
    assert [score.value for score in load_manifest(folder).scores if score.metric == "BLEU"] == [39.0]
    assert [path.name for path in folder.parent.iterdir()] == ["1"]


def test_an_unsound_bundle_takes_no_scores(bundle: tuple[Path, Manifest, TextMaterial], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundle[0], tmp_path / "toy" / "1"))
    (folder / "int8" / "step.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match=r"int8/step\.onnx was altered"):
        record_scores(folder, [SCORE])


def test_scores_are_read_from_a_list(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text(json.dumps([SCORE.model_dump()]))
    assert read_scores(path) == [SCORE]
    path.write_text(json.dumps([SCORE.model_dump() | {"bleu": 1}]))
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        read_scores(path)
