"""The bundles folder of a real service of two workers: broken, then mended, with versions that come and go.

Each test has a model of its own to change.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.service.bundles import put_version, spoil
from tests.service.live import BUNDLES, TIMEOUT, connected_to, serve, until, workers
from tests.service.replies import CLASSIFY, STREAM, TAG, TRANSLATE, sample

TEXT = "A red child sings on the street."
LONG = " ".join([TEXT, "An old cat sleeps at home!", "A happy woman runs in the park on an old street."] * 40)
TO_TAG = {"text": "Yesterday Rosa Lind arrived."}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles, one of which is broken."""
    folder = tmp_path_factory.mktemp("bundles")
    for name in ("tiny-en-de", "tiny-tag", "tiny-classify"):
        shutil.copytree(BUNDLES / name, folder / name)
    spoil(folder / "tiny-classify" / "1" / "int8" / "predict.onnx")
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def service(home: Path, folder: Path) -> Iterator[tuple[psutil.Process, str]]:
    with serve(home, folder, workers="2", reload_seconds="0.1") as (process, url):
        yield psutil.Process(process.pid), url


@pytest.fixture
async def clients(service: tuple[psutil.Process, str]) -> AsyncIterator[list[httpx.AsyncClient]]:
    """A client of each worker."""
    first, second = workers(service[0])
    async with connected_to(first, *service) as one, connected_to(second, *service) as other:
        yield [one, other]


async def everywhere(clients: list[httpx.AsyncClient], condition: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until what `/v1/models` tells fits in both workers."""
    for client in clients:

        async def fits(client: httpx.AsyncClient = client) -> bool:
            return condition((await client.get("/v1/models")).json())

        await until(fits)


def versions(models: dict[str, Any]) -> dict[str, str]:
    return {model["name"]: model["version"] for model in models["models"]}


def refused(models: dict[str, Any]) -> list[tuple[str, str]]:
    return [(bundle["name"], bundle["version"]) for bundle in models["refused"]]


async def test_a_bundle_that_is_broken_at_the_start_is_refused_and_the_others_serve(
    clients: list[httpx.AsyncClient], folder: Path
) -> None:
    for client in clients:
        told = (await client.get("/v1/models")).json()
        assert versions(told).keys() == {"tiny-en-de", "tiny-tag"}
        (fault,) = (
            fault for bundle in told["refused"] if bundle["name"] == "tiny-classify" for fault in bundle["faults"]
        )
        assert fault.startswith("int8/predict.onnx was altered: ")
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert {"name": "tiny-classify", "version": "1"} in ready.json()["refused"]
        assert (await client.post(TAG, json=TO_TAG)).status_code == 200
        assert (await client.post(CLASSIFY, json={"text": "bright"})).status_code == 404
        text = (await client.get("/metrics")).text
        assert sample(text, "seqserve_bundle_refused", model="tiny-classify", version="1") == 1
    file = Path("tiny-classify", "1", "int8", "predict.onnx")
    shutil.copy(BUNDLES / file, folder / file)
    await everywhere(clients, lambda told: "tiny-classify" in versions(told))
    for client in clients:
        assert "tiny-classify" not in (await client.get("/readyz")).text
        assert (await client.post(CLASSIFY, json={"text": "bright"})).status_code == 200
        text = (await client.get("/metrics")).text
        assert sample(text, "seqserve_bundle_refused", model="tiny-classify", version="1") == 0


async def test_a_new_version_takes_over_without_a_request_lost(
    service: tuple[psutil.Process, str], clients: list[httpx.AsyncClient], folder: Path
) -> None:
    got: Counter[tuple[str, str, float]] = Counter()
    enough = asyncio.Event()

    async def ask(path: str) -> None:
        async with httpx.AsyncClient(base_url=service[1], timeout=TIMEOUT) as client:
            while not enough.is_set():
                response = await client.post(path, json={"text": TEXT})
                assert response.status_code == 200
                body = response.text.rpartition("data: ")[2]
                reply = json.loads(body)
                best = reply["translations"][0]
                got[reply["version"], best["text"], round(best["score"], 3)] += 1

    askers = [asyncio.create_task(ask(path)) for path in (TRANSLATE, STREAM) * 4]
    long = [asyncio.create_task(client.post(TRANSLATE, json={"text": LONG})) for client in clients]
    await until(lambda: begun(got, "1"))
    put_version(BUNDLES / "tiny-en-de-gru" / "1", folder / "tiny-en-de" / "2")
    await until(lambda: begun(got, "2"))
    # A client's one connection is free when its long request is done, which the earlier version must do.
    replies = await asyncio.gather(*long)
    assert [(reply.status_code, reply.json()["version"]) for reply in replies] == [(200, "1")] * 2
    await everywhere(clients, lambda told: versions(told)["tiny-en-de"] == "2")
    enough.set()
    await asyncio.gather(*askers)
    assert sorted(version for version, *_ in got) == ["1", "2"], "each version has one answer"
    assert len({score for *_, score in got}) == 2
    for client in clients:
        reply = (await client.post(TRANSLATE, json={"text": TEXT})).json()
        assert (reply["version"], reply["translations"][0]["text"]) in {found[:2] for found in got}
        assert reply["version"] == "2"

    async def closed() -> bool:
        text = (await client.get("/metrics")).text
        labels = {"model": "tiny-en-de", "task": "translate", "precision": "int8", "provider": "cpu"}
        return [sample(text, "seqserve_model_info", version=version, **labels) for version in "12"] == [0, 1]

    await until(closed)


async def begun(got: Counter[tuple[str, str, float]], version: str) -> bool:
    return any(found[0] == version for found in got)


async def test_a_broken_new_version_is_refused_and_a_pin_goes_back(
    clients: list[httpx.AsyncClient], folder: Path, home: Path
) -> None:
    put_version(BUNDLES / "tiny-tag" / "1", folder / "tiny-tag" / "2", broken=True)
    await everywhere(clients, lambda told: ("tiny-tag", "2") in refused(told))
    for client in clients:
        assert (await client.post(TAG, json=TO_TAG)).json()["version"] == "1"
        assert (await client.get("/readyz")).json()["status"] == "degraded"
    assert "tiny-tag 2 is refused:\n  - int8/predict.onnx was altered" in (home / "log").read_text()
    put_version(BUNDLES / "tiny-tag" / "1", folder / "tiny-tag" / "3")
    await everywhere(clients, lambda told: versions(told)["tiny-tag"] == "3" and ("tiny-tag", "2") not in refused(told))
    (folder / "tiny-tag" / "PINNED").write_text("1")
    await everywhere(clients, lambda told: versions(told)["tiny-tag"] == "1")
    for client in clients:
        assert (await client.post(TAG, json=TO_TAG)).json()["version"] == "1"
