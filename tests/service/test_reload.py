"""What is served while the bundles folder changes, without a server."""

from __future__ import annotations

import asyncio
import gc
import shutil
import threading
import time
import weakref
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from service.api.app import create_face
from service.api.life import Life
from service.catalogue import load_catalogue
from service.heap import settle_heap
from service.kinds import Model
from service.metrics import render
from service.reload import Reloader
from service.settings import Settings
from tests.service.bundles import put_version, spoil
from tests.service.fakes import FakeEngine, make_catalogue
from tests.service.live import BUNDLES
from tests.service.replies import TEXT, TRANSLATE, sample, until

FIRST = BUNDLES / "tiny-classify" / "1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("tiny-classify", "tiny-tag"):
        shutil.copytree(BUNDLES / name, tmp_path / name)
    return tmp_path


@pytest.fixture
async def life(folder: Path) -> AsyncIterator[Life]:
    life = Life()
    life.start(load_catalogue(Settings(bundles=folder)))
    threshold = gc.get_threshold()
    settle_heap()
    yield life
    life.catalogue.close(drain=False)
    gc.set_threshold(*threshold)


@pytest.fixture
def reloader(life: Life, folder: Path) -> Reloader:
    return Reloader(life, Settings(bundles=folder))


def served(life: Life) -> list[tuple[str, str]]:
    return [(model.name, model.version) for model in life.catalogue]


def refused(life: Life) -> list[tuple[str, str]]:
    return [(bundle.name, bundle.version) for bundle in life.catalogue.refused]


async def look(reloader: Reloader) -> None:
    """Long enough at the folder to be sure that nobody is writing into it."""
    await reloader.look()
    await reloader.look()


async def test_a_new_version_takes_the_place_of_one_of_which_nothing_is_left(
    life: Life, reloader: Reloader, folder: Path
) -> None:
    model = life.catalogue.get("tiny-classify")
    assert model is not None
    gone = [weakref.ref(thing) for thing in (model, model.engine, model.task, model.engine._predictor._session)]
    catalogue = weakref.ref(life.catalogue)
    del model
    put_version(FIRST, folder / "tiny-classify" / "2")
    await look(reloader)
    assert served(life) == [("tiny-classify", "2"), ("tiny-tag", "1")]
    assert [thing() for thing in (*gone, catalogue)] == [None] * 5
    assert sum(thread.name.startswith("predict-tiny-classify") for thread in threading.enumerate()) == 1
    text = render().decode()
    labels = {"model": "tiny-classify", "task": "classify", "precision": "int8", "provider": "cpu"}
    assert [sample(text, "seqserve_model_info", version=version, **labels) for version in "12"] == [0, 1]


async def test_a_folder_is_left_alone_until_it_is_written(life: Life, reloader: Reloader, folder: Path) -> None:
    target = folder / "tiny-classify" / "2"
    put_version(FIRST, target)
    files = sorted(path.relative_to(target) for path in target.rglob("*") if path.is_file())
    shutil.rmtree(target)
    put_version(FIRST, folder / "tiny-other" / "2")
    for file in files:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "tiny-other" / "2" / file, target / file)
        await reloader.look()
        assert (served(life)[0], refused(life)) == (("tiny-classify", "1"), [])


async def test_a_broken_version_is_refused_once_and_taken_when_it_is_mended(
    life: Life, reloader: Reloader, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = folder / "tiny-classify" / "2"
    put_version(FIRST, target, broken=True)
    for _ in range(4):
        await reloader.look()
    assert (served(life)[0], refused(life)) == (("tiny-classify", "1"), [("tiny-classify", "2")])
    assert caplog.text.count("tiny-classify 2 is refused:\n  - int8/predict.onnx was altered") == 1
    assert sample(render().decode(), "seqserve_bundle_refused", model="tiny-classify", version="2") == 1
    shutil.copytree(FIRST / "int8", target / "int8", dirs_exist_ok=True)
    await look(reloader)
    assert (served(life)[0], refused(life)) == (("tiny-classify", "2"), [])
    assert sample(render().decode(), "seqserve_bundle_refused", model="tiny-classify", version="2") == 0


async def test_a_sound_version_that_could_not_be_loaded_is_tried_again(
    life: Life, reloader: Reloader, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_version(FIRST, folder / "tiny-classify" / "2")
    tried = []
    begun, passed = time.monotonic(), 0.0
    monkeypatch.setattr(time, "monotonic", lambda: begun + passed)

    def fail(self: Model[object]) -> None:
        tried.append(passed)
        raise MemoryError("not enough of it")

    with monkeypatch.context() as starved:
        starved.setattr(Model, "start", fail)
        for passed in (0.0, 59.0, 61.0, 179.0, 182.0):  # noqa: B007  # what `fail` and the clock read
            await look(reloader)
    assert tried == [0.0, 61.0, 182.0], "not at every look, and later each time"
    assert refused(life) == [("tiny-classify", "2")]
    assert life.catalogue.refused[0].faults == ("it cannot be loaded: not enough of it",)
    passed = 430.0
    await look(reloader)
    assert (served(life)[0], refused(life)) == (("tiny-classify", "2"), [])


async def test_going_back_is_a_file_or_a_folder_less(life: Life, reloader: Reloader, folder: Path) -> None:
    name = folder / "tiny-classify"
    put_version(FIRST, name / "2")
    await look(reloader)
    (name / "PINNED").write_text("1\n")
    await look(reloader)
    assert served(life)[0] == ("tiny-classify", "1")
    (name / "PINNED").write_text("3")
    await look(reloader)
    assert (served(life)[0], refused(life)) == (("tiny-classify", "1"), [("tiny-classify", "")])
    (name / "PINNED").unlink()
    await look(reloader)
    assert (served(life)[0], refused(life)) == (("tiny-classify", "2"), [])
    shutil.rmtree(name / "2")
    await look(reloader)
    assert served(life)[0] == ("tiny-classify", "1")


async def test_names_come_and_go(life: Life, reloader: Reloader, folder: Path) -> None:
    put_version(FIRST, folder / "another" / "1")
    await look(reloader)
    assert served(life) == [("another", "1"), ("tiny-classify", "1"), ("tiny-tag", "1")]
    shutil.rmtree(folder / "tiny-classify")
    await look(reloader)
    assert served(life) == [("another", "1"), ("tiny-tag", "1")]


async def test_a_copy_under_another_name_takes_no_model_s_place(life: Life, reloader: Reloader, folder: Path) -> None:
    before = life.catalogue.get("tiny-classify")
    shutil.copytree(FIRST, folder / "zoo" / "1")
    await look(reloader)
    assert life.catalogue.get("tiny-classify") is before
    ((fault,),) = (bundle.faults for bundle in life.catalogue.refused)
    assert fault.startswith("it is named 'tiny-classify', as the bundle of another folder is")
    assert refused(life) == [("zoo", "1")]
    labels = {"model": "tiny-classify", "task": "classify", "precision": "int8", "provider": "cpu"}
    assert sample(render().decode(), "seqserve_model_info", version="1", **labels) == 1


async def test_what_was_mended_while_the_others_were_loaded_is_served(folder: Path) -> None:
    file = Path("int8", "predict.onnx")
    spoil(folder / "tiny-classify" / "1" / file)
    settings, life = Settings(bundles=folder), Life()
    catalogue = load_catalogue(settings)
    shutil.copy(FIRST / file, folder / "tiny-classify" / "1" / file)
    life.start(catalogue)
    try:
        assert served(life) == [("tiny-tag", "1")]
        await look(Reloader(life, settings))
        assert served(life) == [("tiny-classify", "1"), ("tiny-tag", "1")]
    finally:
        life.catalogue.close(drain=False)


async def test_a_disk_that_is_gone_changes_nothing(life: Life, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    before, away = served(life), folder.with_name("elsewhere")
    shutil.move(folder, away)
    running = asyncio.create_task(Reloader(life, Settings(bundles=folder, reload_seconds=0.001)).run())
    await until(lambda: "no such folder" in caplog.text)
    await asyncio.sleep(0.05)
    assert served(life) == before
    assert caplog.text.count("what is served stays as it is") == 1
    shutil.move(away, folder)
    put_version(FIRST, folder / "tiny-classify" / "2")
    await until(lambda: served(life)[0] == ("tiny-classify", "2"))
    life.fail()
    await asyncio.wait_for(running, 5)


async def test_a_default_that_would_be_gone_stays(folder: Path) -> None:
    settings = Settings(bundles=folder, defaults={"tag": "tiny-tag"}, reload_seconds=0.001)
    life = Life()
    life.start(load_catalogue(settings))
    try:
        shutil.rmtree(folder / "tiny-tag")
        with pytest.raises(LookupError, match="'tiny-tag'"):
            await Reloader(life, settings).look()
        assert served(life) == [("tiny-classify", "1"), ("tiny-tag", "1")]
    finally:
        life.catalogue.close(drain=False)


async def test_a_version_for_another_task_does_not_become_a_default(folder: Path) -> None:
    settings, life = Settings(bundles=folder, defaults={"classify": "tiny-classify"}), Life()
    life.start(load_catalogue(settings))
    try:
        put_version(BUNDLES / "tiny-tag" / "1", folder / "tiny-classify" / "2")
        await look(Reloader(life, settings))
        assert (served(life)[0], refused(life)) == (("tiny-classify", "1"), [("tiny-classify", "2")])
        assert sum(thread.name.startswith("predict-tiny-classify") for thread in threading.enumerate()) == 1
    finally:
        life.catalogue.close(drain=False)


async def test_a_model_is_closed_when_those_who_came_before_the_switch_have_their_replies(engine: FakeEngine) -> None:
    life, later = Life(), FakeEngine()
    life.start(make_catalogue(engine))
    engine.hold()
    transport = httpx.ASGITransport(create_face(life, Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        before = asyncio.create_task(client.post(TRANSLATE, json={"text": TEXT}))
        await until(lambda: engine.seen)
        switched = asyncio.create_task(life.switch(make_catalogue(later)))
        await asyncio.sleep(0)
        assert (await client.post(TRANSLATE, json={"text": TEXT})).status_code == 200
        assert (len(engine.seen), len(later.seen), life.in_flight) == (1, 1, 1)
        assert not switched.done()
        draining = asyncio.create_task(life.drain(5))
        await asyncio.sleep(0)
        assert not draining.done(), "requests of every catalogue are waited for"
        engine.release()
        assert (await before).json()["translations"][0]["text"] == TEXT
        await asyncio.wait_for(switched, 5)
        assert await draining
    later.close()
