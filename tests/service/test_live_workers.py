"""A real service of two worker processes: one set of figures, whichever of them is asked, and whoever of them dies."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.settings import available_memory
from tests.service.live import (
    BUNDLES,
    TIMEOUT,
    Peer,
    connected,
    connected_to,
    figure,
    idle,
    raw_request,
    serve,
    until,
    worker_of,
    workers,
)
from tests.service.replies import STREAM, TAG, TRANSLATE

TEXT = "A red child sings. An old cat sleeps. It runs!"
LONG = {"text": "A red child sings on the street. An old cat sleeps at home! " * 60}
ENDLESS = {"text": "A happy woman sings and sleeps and runs. " * 400, "beam_size": 16, "length_penalty": 0.1}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[psutil.Process, str]]:
    with serve(tmp_path_factory.mktemp("home"), workers="2") as (process, url):
        yield psutil.Process(process.pid), url


async def samples(client: httpx.AsyncClient) -> dict[tuple[str, ...], float]:
    """Every series and its value; each may be told once."""
    text = (await client.get("/metrics")).text
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    names = [(sample.name, *map("=".join, sorted(sample.labels.items()))) for sample in found]
    assert [name for name, times in Counter(names).items() if times > 1] == []
    return dict(zip(names, (sample.value for sample in found), strict=True))


def counts(told: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    return {series: value for series, value in told.items() if series[0].endswith(("_total", "_count", "_bucket"))}


async def translated(client: httpx.AsyncClient) -> float:
    series = ("seqserve_request_duration_seconds_count", "model=tiny-en-de", "outcome=ok", "task=translate")
    return (await samples(client))[series]


async def test_either_worker_tells_the_figures_of_both(service: tuple[psutil.Process, str]) -> None:
    supervisor, _ = service
    first, second = workers(supervisor)
    async with connected_to(first, *service) as one, connected_to(second, *service) as other:
        before = await samples(one)
        for client, times in ((one, 5), (other, 3)):
            for _ in range(times):
                assert (await client.post(TRANSLATE, json={"text": TEXT})).status_code == 200
        told = [await samples(client) for client in (one, other)]
        for figures in told:
            rows = "seqserve_queue_duration_seconds_count", "model=tiny-en-de"
            # Three sentences each; both workers have warmed up with some.
            assert figures[rows] - before[rows] == 8 * 3
            assert figures["seqserve_preprocess_duration_seconds_count", "model=tiny-en-de", "task=translate"] == 8
            infos = {series[1] for series in figures if series[0] == "seqserve_model_info"}
            assert infos == {f"model={path.name}" for path in BUNDLES.iterdir()}
            assert figures["seqserve_start_time_seconds",] == max(first.create_time(), second.create_time())
            assert figures["seqserve_memory_limit_bytes",] == available_memory()
            assert (
                0
                < figures["seqserve_cpu_seconds_total",]
                <= sum(time for worker in (first, second) for time in worker.cpu_times()[:2])
            )
        assert await translated(one) == await translated(other) == 8

        async def remembered() -> bool:
            """Whether the memory that is told, which is looked at every second, is what both hold."""
            held = first.memory_info().rss + second.memory_info().rss
            return (await samples(one))["seqserve_resident_memory_bytes",] == pytest.approx(held, rel=0.1)

        await until(remembered)
        # What one worker no longer runs, the other does not go on telling.
        await until(lambda: idle(one))
        await until(lambda: idle(other))


async def test_a_worker_that_is_killed_leaves_its_counts_and_takes_its_gauges_with_it(
    service: tuple[psutil.Process, str],
) -> None:
    supervisor, _ = service
    victim, survivor = workers(supervisor)
    async with connected_to(victim, *service) as doomed, connected_to(survivor, *service) as client:
        assert (await doomed.post(TRANSLATE, json={"text": TEXT})).status_code == 200

        async def runs() -> bool:
            return await figure(client, "seqserve_running_rows") > 0

        async with doomed.stream("POST", STREAM, json=ENDLESS) as response:
            assert response.status_code == 200
            await until(runs)
            before = counts(await samples(client))
            victim.kill()
            with pytest.raises(httpx.TransportError):
                await response.aread()
        assert await idle(client)
        after = await samples(client)
        assert {series for series, value in before.items() if after[series] < value} == set()
        total = await translated(client)
        assert (
            total
            == before["seqserve_request_duration_seconds_count", "model=tiny-en-de", "outcome=ok", "task=translate"]
        )

        async def replaced() -> bool:
            return {survivor.pid} < {worker.pid for worker in workers(supervisor)}

        await until(replaced)
        (newcomer,) = (worker for worker in workers(supervisor) if worker != survivor)
        async with connected_to(newcomer, *service) as fresh:
            assert (await fresh.post(TRANSLATE, json={"text": TEXT})).status_code == 200
            assert await translated(fresh) == await translated(client) == total + 1


async def test_of_a_killed_worker_only_the_requests_in_flight_fail_and_it_is_started_again(
    service: tuple[psutil.Process, str],
) -> None:
    supervisor, url = service
    victim, survivor = workers(supervisor)
    async with (
        connected_to(victim, *service) as doomed,
        connected_to(survivor, *service) as client,
        AsyncExitStack() as stack,
    ):
        names = [worker_of(await each.get("/v1/models")) for each in (doomed, client)]
        expected = (await client.post(TRANSLATE, json=LONG)).json()["translations"]
        before = await figure(client, "seqserve_preprocess_duration_seconds_count")
        peers: dict[str, list[Peer]] = {name: [] for name in names}
        while min(map(len, peers.values())) < 4:
            peer = Peer(*await stack.enter_async_context(connected(url)))
            peers[await peer.worker()].append(peer)
        lost, served = (peers[name] for name in names)
        for path, peer in zip(itertools.cycle((TRANSLATE, STREAM)), (*lost, *served), strict=False):
            peer.send(raw_request(path, json.dumps(LONG).encode()))

        async def working() -> bool:
            begun = await figure(client, "seqserve_preprocess_duration_seconds_count") - before
            return begun == len(lost) + len(served)

        await until(working)
        victim.kill()
        whole = await asyncio.gather(*(peer.rest() for peer in served))
        assert [reply and reply["translations"] for reply in whole] == [expected] * len(served)
        cut_off = await asyncio.gather(*(peer.rest() for peer in lost))
        assert cut_off == [None] * len(lost), "nothing of theirs can be taken for a whole reply"

    async def again() -> bool:
        # A connection waits for the worker that will accept it: none is refused meanwhile.
        async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT) as fresh:
            response = await fresh.post(TRANSLATE, json={"text": TEXT})
        if response.status_code == 503:
            assert response.json()["type"] == "urn:seqserve:problem:not-ready"
            return False
        assert response.status_code == 200
        return worker_of(response) not in names

    await until(again)
    assert len(workers(supervisor)) == 2
    assert victim not in workers(supervisor)


@pytest.fixture
def contained(tmp_path: Path) -> Iterator[tuple[psutil.Process, str]]:
    """A service that takes itself to be in a container, where nobody starts a dead worker again."""
    shutil.copytree(BUNDLES / "tiny-tag", tmp_path / "bundles" / "tiny-tag")
    variables = {"BENTOML_CONTAINERIZED": "true"}
    with serve(tmp_path, tmp_path / "bundles", env=variables, workers="2") as (process, url):
        yield psutil.Process(process.pid), url


async def test_in_a_container_a_worker_that_is_killed_makes_the_liveness_probe_fail(
    contained: tuple[psutil.Process, str],
) -> None:
    supervisor, url = contained
    victim, survivor = workers(supervisor)
    async with connected_to(survivor, *contained) as client:
        victim.kill()

        async def missed() -> bool:
            return (await client.get("/livez")).status_code == 503

        await until(missed)
        assert workers(supervisor) == [survivor]
        assert (await client.post(TAG, json={"text": "Yesterday Rosa Lind arrived."})).status_code == 200
        survivor.kill()
    await asyncio.to_thread(survivor.wait, TIMEOUT)
    async with httpx.AsyncClient(base_url=url, timeout=2) as fresh:
        with pytest.raises(httpx.TransportError):
            await fresh.get("/livez")
    assert workers(supervisor) == []
