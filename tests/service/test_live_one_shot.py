"""One-shot models in a real service process, side by side with those that decode."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import httpx
import pytest

from tests.service.live import connected, figure, idle, raw_request, until
from tests.service.replies import ANSWER, CLASSIFY, RECOMMEND, TAG, TRANSLATE

TOLD = ["Ada ran to the shop.", "Ben walked to the barn.", "Ada went off to the attic."]
QUALITIES = ("bright", "dull", "charming", "cold", "clumsy", "moving")
NAMES = ("Rosa Lind", "Nobody", "Rosa", "the board")


async def ask(live_client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    response = await live_client.post(path, json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_every_task_answers(live_client: httpx.AsyncClient) -> None:
    (rated,) = (await ask(live_client, CLASSIFY, {"text": "A bright film ."}))["predictions"]
    assert (rated["label"], len(rated["labels"])) == ("positive", 2)
    assert sum(each["score"] for each in rated["labels"]) == pytest.approx(1, abs=1e-5)
    (tagged,) = (await ask(live_client, TAG, {"text": "😀  Yesterday Rosa Lind arrived."}))["predictions"]
    (entity,) = tagged["entities"]
    assert (entity["text"], entity["label"], entity["start"], entity["end"]) == ("Rosa Lind", "PER", 13, 22)
    (found,) = (await ask(live_client, RECOMMEND, {"session": ["sku-107", "sku-108"], "top_k": 3}))["recommendations"]
    assert len(found["items"]) == 3
    assert [each["score"] for each in found["items"]] == sorted((e["score"] for e in found["items"]), reverse=True)
    asked = {"story": TOLD, "question": ["Where is Ada?", "Where is Ben?"]}
    assert [each["text"] for each in (await ask(live_client, ANSWER, asked))["answers"]] == ["attic", "barn"]


async def test_filters_reach_the_graph(live_client: httpx.AsyncClient) -> None:
    session = ["sku-107", "sku-108"]

    async def items(**options: Any) -> list[str]:
        (found,) = (await ask(live_client, RECOMMEND, {"session": session, **options}))["recommendations"]
        return [each["item"] for each in found["items"]]

    everything = await items(top_k=100)
    assert len(set(everything)) == 40
    best = everything[0]
    assert await items(top_k=39, exclude=[best]) == everything[1:]
    assert await items(top_k=100, candidates=everything[5:9]) == everything[5:9]
    assert await items(top_k=100, candidates=everything[5:9], exclude=everything[6:7]) == [
        everything[5],
        *everything[7:9],
    ]
    unseen = [item for item in everything if item not in session]
    assert await items(top_k=100, exclude_seen=True) == unseen


@pytest.mark.parametrize(
    ("model", "names"), [("tiny-classify", ["attention"]), ("tiny-document", ["words", "sentences"])]
)
async def test_a_text_is_explained(live_client: httpx.AsyncClient, model: str, names: list[str]) -> None:
    text = "A bright film . 😀 The scene was dull ."
    (rated,) = (await ask(live_client, CLASSIFY, {"text": text, "model": model, "explain": True}))["predictions"]
    assert [level["name"] for level in rated["attention"]] == names
    for level in rated["attention"]:
        assert [text[s["start"] : s["end"]] for s in level["sources"]] == [s["text"] for s in level["sources"]]
        rows = level["weights"] if "targets" in level else [level["weights"]]
        assert {len(row) for row in rows} == {len(level["sources"])}
        assert [sum(row) for row in rows] == pytest.approx([1] * len(rows), abs=1e-3)


async def test_each_hop_says_which_sentences_it_looked_at(live_client: httpx.AsyncClient) -> None:
    (answered,) = (await ask(live_client, ANSWER, {"story": TOLD, "question": "Where is Ada?", "explain": True}))[
        "answers"
    ]
    shown = answered["attention"]
    assert shown["sources"] == [{"text": text, "position": place} for place, text in enumerate(TOLD)]
    first, second = shown["weights"]
    assert all(0 <= weight <= 1 for weight in (*first, *second))
    assert sum(first) <= 1.001
    assert max(range(3), key=lambda place: first[place] + second[place]) == 2


async def test_a_session_is_explained(live_client: httpx.AsyncClient) -> None:
    body = {"session": ["sku-107", "unheard of", "sku-108"], "explain": True}
    (found,) = (await ask(live_client, RECOMMEND, body))["recommendations"]
    assert [source["position"] for source in found["attention"]["sources"]] == [0, 2]
    assert len(found["attention"]["weights"]) == 2
    assert found["unknown"] == ["unheard of"]


def mixed(count: int, seed: int) -> list[tuple[str, dict[str, Any]]]:
    """Requests of every task, drawn at random."""
    chance = random.Random(seed)  # noqa: S311

    def sentence() -> str:
        return f"A {chance.choice(QUALITIES)} film of {chance.choice(NAMES)} ."

    def text() -> str:
        return " ".join(sentence() for _ in range(chance.randint(1, 4)))

    def session() -> list[str]:
        return [f"sku-{chance.randint(100, 142)}" for _ in range(chance.randint(0, 14))]

    makers = [
        lambda: (CLASSIFY, {"text": text()}),
        lambda: (CLASSIFY, {"text": [text() for _ in range(3)], "model": "tiny-document"}),
        lambda: (TAG, {"text": text()}),
        lambda: (ANSWER, {"story": TOLD[chance.randint(0, 2) :] * chance.randint(1, 9), "question": "Where is Ada?"}),
        lambda: (RECOMMEND, {"session": session(), "top_k": chance.randint(1, 30)}),
        lambda: (RECOMMEND, {"session": [session(), session()], "exclude": session(), "exclude_seen": True}),
        lambda: (TRANSLATE, {"text": "The man sings on the street.", "beam_size": chance.randint(1, 3)}),
    ]
    return [chance.choice(makers)() for _ in range(count)]


def close(left: Any, right: Any) -> bool:
    """Whether two replies are the same but for the last bits of their scores, which follow the batch's shape."""
    if isinstance(left, float) and isinstance(right, float):
        return left == pytest.approx(right, abs=2e-4)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(close(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(close, left, right))
    return bool(left == right)


async def test_200_of_all_tasks_at_once_get_what_each_alone_gets(live_client: httpx.AsyncClient) -> None:
    requests = mixed(200, seed=5)
    alone = [await ask(live_client, path, body) for path, body in requests]
    together = await asyncio.gather(*(ask(live_client, path, body) for path, body in requests))
    assert all(map(close, together, alone))
    assert len({json.dumps(reply) for reply in alone}) > 100
    assert await figure(live_client, "seqserve_batch_rows_sum") > await figure(live_client, "seqserve_batch_rows_count")


async def test_a_list_of_a_thousand_does_not_keep_others_waiting(live_client: httpx.AsyncClient) -> None:
    long = {"text": ["A rather dull scene . " * 6] * 1000}
    alone = await ask(live_client, CLASSIFY, {"text": "A bright film ."})

    async def answered_before_the_list() -> bool:
        many = asyncio.create_task(ask(live_client, CLASSIFY, long))
        # A tiny model may have done the whole list before anybody looks: then nothing was seen.
        while not many.done() and await figure(live_client, "seqserve_queue_depth") == 0:
            pass
        one = await ask(live_client, CLASSIFY, {"text": "A bright film ."})
        before = not many.done()
        assert close(one, alone)
        assert len((await many)["predictions"]) == 1000
        return before

    for _ in range(20):
        if await answered_before_the_list():
            return
    pytest.fail("one text was never answered before a thousand others that came first")


async def test_among_clients_that_leave_the_others_get_their_replies(
    live_client: httpx.AsyncClient, live_url: str
) -> None:
    chance = random.Random(3)  # noqa: S311
    requests = mixed(60, seed=9)
    alone = [await ask(live_client, path, body) for path, body in requests]

    async def leave(path: str, body: dict[str, Any]) -> None:
        async with connected(live_url) as (_, writer):
            writer.write(raw_request(path, json.dumps(body).encode()))
            await writer.drain()
            await asyncio.sleep(chance.random() * 0.05)

    stay = [ask(live_client, path, body) for path, body in requests]
    *replies, _ = await asyncio.gather(*stay, asyncio.gather(*(leave(*request) for request in requests)))
    assert all(map(close, replies, alone))
    await until(lambda: idle(live_client))


async def test_figures_tell_of_one_shot_models_too(live_client: httpx.AsyncClient) -> None:
    await ask(live_client, CLASSIFY, {"text": "A bright film ."})
    text = (await live_client.get("/metrics")).text
    for line in (
        'seqserve_request_duration_seconds_count{model="tiny-classify",outcome="ok",task="classify"}',
        'seqserve_queue_duration_seconds_count{model="tiny-classify"}',
        'seqserve_inference_duration_seconds_count{graph="predict",model="tiny-classify"}',
        'seqserve_batch_rows_count{graph="predict",model="tiny-classify"}',
        'seqserve_batch_cost_tokens_count{model="tiny-classify"}',
        'seqserve_batch_padding_ratio_count{model="tiny-classify"}',
        'seqserve_preprocess_duration_seconds_count{model="tiny-classify",task="classify"}',
        'seqserve_postprocess_duration_seconds_count{model="tiny-classify",task="classify"}',
        'seqserve_queue_depth{model="tiny-classify"}',
    ):
        assert f"\n{line} " in text, line
    assert 'running_rows{model="tiny-classify"}' not in text
