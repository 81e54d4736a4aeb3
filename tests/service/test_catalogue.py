"""Which bundles are loaded, and which model a request gets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.manifest import BundleError
from service.bundles import find_bundles
from service.catalogue import Catalogue, UnknownModelError, load_catalogue
from service.kinds import CLASSIFY, TRANSLATE, SlotEngine
from service.settings import Settings, available_cores
from tests.service.fakes import FakeEngine, make_catalogue

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = ROOT / "tests" / "data" / "bundles" / "v1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two names, one with three versions, and something hidden that is none."""
    for name in ("a/9", "a/10", "a/2", "b/1.0", ".staging/1"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "manifest.json").touch()
    return tmp_path


def test_the_newest_version_of_every_name_is_found(folder: Path) -> None:
    assert find_bundles(Settings(bundles=folder)) == [folder / "a" / "10", folder / "b" / "1.0"]


def test_a_pinned_version_is_found_instead(folder: Path) -> None:
    assert find_bundles(Settings(bundles=folder, versions={"a": "9"})) == [folder / "a" / "9", folder / "b" / "1.0"]


def test_every_fault_of_a_folder_is_told(folder: Path) -> None:
    (folder / "c").mkdir()
    with pytest.raises(BundleError) as caught:
        find_bundles(Settings(bundles=folder, versions={"a": "8", "d": "1"}))
    message = str(caught.value)
    assert "'d' is pinned, but there is no such bundle" in message
    assert "a: the pinned version 8 is not there; versions: 10, 2, 9" in message
    assert "c: neither manifest.json nor a version folder with one" in message


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    engine = FakeEngine()
    yield engine
    engine.close(drain=False)


def test_a_request_gets_the_model_it_names_and_else_the_default(engine: FakeEngine) -> None:
    catalogue = make_catalogue(engine)
    assert catalogue.pick(TRANSLATE, None).name == "echo"
    assert catalogue.pick(TRANSLATE, "mute").name == "mute"
    assert [catalogue.is_default(model) for model in catalogue] == [True, False]
    with pytest.raises(UnknownModelError, match=r"no model 'other' is served .* there is echo, mute"):
        catalogue.pick(TRANSLATE, "other")


def test_the_default_is_a_setting_that_must_name_a_model(engine: FakeEngine) -> None:
    models = list(make_catalogue(engine))
    assert Catalogue(models, {"translate": "mute"}).pick(TRANSLATE, None).name == "mute"
    with pytest.raises(UnknownModelError, match="for the task 'classify'"):
        Catalogue(models, {"classify": "mute"})
    with pytest.raises(UnknownModelError, match="no model is served for the task 'classify'; there is echo, mute"):
        Catalogue(models, {}).pick(CLASSIFY, None)
    with pytest.raises(UnknownModelError, match="'other'"):
        Catalogue(models, {"translate": "other"})


def test_real_bundles_are_loaded_and_answer() -> None:
    catalogue = load_catalogue(Settings(bundles=BUNDLES, slots=8, precision="int8"))
    try:
        assert [(model.name, model.bundle.manifest.task) for model in catalogue] == [
            ("tiny-answers", "answer"),
            ("tiny-captions", "caption"),
            ("tiny-classify", "classify"),
            ("tiny-complete-image", "complete-image"),
            ("tiny-document", "classify"),
            ("tiny-en-de", "translate"),
            ("tiny-en-de-gru", "translate"),
            ("tiny-items", "recommend"),
            ("tiny-tag", "tag"),
            ("tiny-tunes", "generate"),
            ("tiny-upscale", "upscale"),
        ]
        assert [model.name for model in catalogue if catalogue.is_default(model)] == [
            "tiny-answers",
            "tiny-captions",
            "tiny-classify",
            "tiny-complete-image",
            "tiny-en-de",
            "tiny-items",
            "tiny-tag",
            "tiny-tunes",
            "tiny-upscale",
        ]
        assert {model.bundle.variant.precision for model in catalogue} == {"int8"}
        assert [model.engine.slots for model in catalogue if isinstance(model.engine, SlotEngine)] == [8] * 6
        assert all(model.engine.alive for model in catalogue)
    finally:
        catalogue.close(drain=False)


def test_a_bundle_is_closed_again_where_a_later_one_cannot_be_loaded(tmp_path: Path) -> None:
    shutil.copytree(BUNDLES, tmp_path / "bundles")
    (tmp_path / "bundles" / "tiny-en-de-gru" / "1" / "MODEL_CARD.md").unlink()
    with pytest.raises(BundleError, match=r"MODEL_CARD\.md is missing"):
        load_catalogue(Settings(bundles=tmp_path / "bundles"))
    names = {thread.name for thread in threading.enumerate()}
    assert not any(name.startswith(("decoding-tiny", "predict-tiny")) for name in names)


def test_a_worker_leaves_a_core_to_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.settings.available_cores", lambda: 8)
    assert Settings().compute_threads == 7
    assert Settings(workers=2).compute_threads == 3
    assert Settings(workers=8).compute_threads == 1
    assert Settings(threads=5).compute_threads == 5
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def test_the_supervisor_loads_nothing_heavy() -> None:
    program = (
        "import sys, service.app; heavy = {'onnxruntime', 'tokenizers', 'fastapi', 'numpy', 'torch', 'sentencex'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
