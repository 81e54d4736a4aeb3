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
from service.bundles import RefusedBundle, check_bundles, find_bundles
from service.catalogue import AbandonedError, Catalogue, UnknownModelError, load_catalogue
from service.kinds import CLASSIFY, TRANSLATE, SlotEngine
from service.settings import Settings, available_cores
from tests.service.bundles import reseal
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


def versions(settings: Settings) -> dict[str, list[str]]:
    found = find_bundles(settings).versions
    return {name: [path.relative_to(settings.bundles / name).as_posix() for path in found[name]] for name in found}


def test_the_newest_version_of_every_name_is_found(folder: Path) -> None:
    (folder / "lost+found").mkdir()
    assert versions(Settings(bundles=folder)) == {"a": ["10", "9", "2"], "b": ["1.0"]}


def test_a_pinned_version_is_found_instead(folder: Path) -> None:
    (folder / "a" / "PINNED").write_text("2\n")
    assert versions(Settings(bundles=folder)) == {"a": ["2"], "b": ["1.0"]}
    assert versions(Settings(bundles=folder, versions={"a": "9"})) == {"a": ["9"], "b": ["1.0"]}


def test_what_has_no_version_is_refused(folder: Path) -> None:
    (folder / "a" / "PINNED").write_text("8")
    (folder / "c").mkdir()
    found = find_bundles(Settings(bundles=folder))
    assert found.versions == {"b": [folder / "b" / "1.0"]}
    assert [(bundle.name, bundle.version, bundle.faults) for bundle in found.refused] == [
        ("a", "", ("version '8', pinned by PINNED, is not there; versions: 10, 9, 2",)),
        ("c", "", ("neither manifest.json nor a version folder with one",)),
    ]


def test_every_version_that_the_settings_pin_must_be_there(folder: Path) -> None:
    with pytest.raises(BundleError) as caught:
        find_bundles(Settings(bundles=folder, versions={"a": "8", "d": "1"}))
    message = str(caught.value)
    assert "'d' is pinned, but there is no such bundle" in message
    assert "a: version '8', pinned by the settings, is not there; versions: 10, 9, 2" in message


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


def test_a_default_that_is_refused_has_no_stand_in(engine: FakeEngine) -> None:
    refused = [RefusedBundle(Path("other/1"), "other", "1", ("broken",))]
    catalogue = Catalogue(make_catalogue(engine), {"translate": "other"}, refused)
    with pytest.raises(UnknownModelError, match="for the task 'translate'; there is echo, mute"):
        catalogue.pick(TRANSLATE, None)
    assert catalogue.pick(TRANSLATE, "mute").name == "mute"


def test_of_two_folders_with_one_name_the_second_is_refused(tmp_path: Path) -> None:
    for name in ("tiny-tag", "zoo"):
        shutil.copytree(BUNDLES / "tiny-tag", tmp_path / name)
    catalogue = load_catalogue(Settings(bundles=tmp_path))
    try:
        assert [model.bundle.folder for model in catalogue] == [tmp_path / "tiny-tag" / "1"]
        assert [str(bundle) for bundle in catalogue.refused] == ["zoo 1"]
        _, refused = check_bundles(Settings(bundles=tmp_path))
        assert [(str(bundle), bundle.faults) for bundle in refused] == [("zoo 1", catalogue.refused[0].faults)]
    finally:
        catalogue.close(drain=False)


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


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A folder of `tiny-en-de`, of `tiny-tag` whose version 2 is broken, and of `tiny-tunes`, which is broken."""
    for name, version in (("tiny-en-de", "1"), ("tiny-tag", "1"), ("tiny-tag", "2"), ("tiny-tunes", "1")):
        shutil.copytree(BUNDLES / name / "1", tmp_path / "bundles" / name / version)
    for version in ("tiny-tag/2", "tiny-tunes/1"):
        (tmp_path / "bundles" / version / "MODEL_CARD.md").unlink()
    return tmp_path / "bundles"


def test_a_broken_bundle_is_refused_and_the_others_are_loaded(broken: Path) -> None:
    catalogue = load_catalogue(Settings(bundles=broken))
    try:
        assert [model.bundle.folder for model in catalogue] == [broken / "tiny-en-de" / "1", broken / "tiny-tag" / "1"]
        assert [(bundle.name, bundle.version, bundle.faults) for bundle in catalogue.refused] == [
            ("tiny-tag", "2", ("MODEL_CARD.md is missing",)),
            ("tiny-tunes", "1", ("MODEL_CARD.md is missing",)),
        ]
    finally:
        catalogue.close(drain=False)


def test_a_sound_bundle_that_the_engine_does_not_take_is_refused(tmp_path: Path) -> None:
    for name in ("tiny-en-de", "tiny-tag"):
        shutil.copytree(BUNDLES / name, tmp_path / name)
    folder = tmp_path / "tiny-tag" / "1"
    (folder / "int8" / "predict.onnx").write_bytes(b"no graph")
    reseal(folder)
    catalogue = load_catalogue(Settings(bundles=tmp_path))
    catalogue.close(drain=False)
    (refused,) = catalogue.refused
    assert refused.name == "tiny-tag"
    assert refused.faults[0].startswith("it cannot be loaded: ")


def test_models_are_closed_again_where_a_strict_service_lacks_one(broken: Path) -> None:
    with pytest.raises(BundleError, match=r"tiny-tunes 1: MODEL_CARD\.md is missing"):
        load_catalogue(Settings(bundles=broken, strict=True))
    assert not any(thread.name.startswith(("decoding-tiny", "predict-tiny")) for thread in threading.enumerate())


def test_loading_ends_when_nobody_wants_the_models(broken: Path) -> None:
    answers = iter((False, True))
    with pytest.raises(AbandonedError):
        load_catalogue(Settings(bundles=broken), lambda: next(answers))
    assert not any(thread.name.startswith("decoding-tiny") for thread in threading.enumerate())


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
