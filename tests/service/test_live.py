"""A real service process on a real port, with real bundles."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.service.live import TIMEOUT, connected, figure, idle, raw_request, serve, until
from tests.service.replies import STREAM, TRANSLATE

MODELS = ("tiny-en-de", "tiny-en-de-gru")
SUBJECTS = ("A red child", "An old cat", "A happy woman", "The man", "It")
VERBS = ("sings", "sleeps", "runs", "sings and sleeps and runs")
PLACES = ("on the street.", "at home!", "in the park on an old street.")
SENTENCES = [f"{subject} {verb} {place}" for subject in SUBJECTS for verb in VERBS for place in PLACES]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tmp_path_factory.mktemp("home"), body_timeout="3", cors_origins='["https://a.example"]') as (_, url):
        yield url


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT) as client:
        yield client


async def translate(client: httpx.AsyncClient, text: str | list[str], **options: Any) -> list[dict[str, Any]]:
    response = await client.post(TRANSLATE, json={"text": text, **options})
    assert response.status_code == 200, response.text
    return list(response.json()["translations"])


async def test_it_lives_and_serves_what_the_folder_holds(client: httpx.AsyncClient) -> None:
    assert (await client.get("/livez")).status_code == 200
    models = (await client.get("/v1/models")).json()["models"]
    assert [(model["name"], model["task"], model["default"]) for model in models] == [
        ("tiny-answers", "answer", True),
        ("tiny-captions", "caption", True),
        ("tiny-classify", "classify", True),
        ("tiny-complete-image", "complete-image", True),
        ("tiny-document", "classify", False),
        ("tiny-en-de", "translate", True),
        ("tiny-en-de-gru", "translate", False),
        ("tiny-items", "recommend", True),
        ("tiny-tag", "tag", True),
        ("tiny-tunes", "generate", True),
        ("tiny-upscale", "upscale", True),
    ]
    assert {model["precision"] for model in models} == {"int8"}
    (translation,) = await translate(client, "A red child sings on the street.")
    assert translation["text"].endswith("auf der Straße.")
    assert translation["score"] < 0


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"text": ""}', 422),
        (b'{"text": "   "}', 422),
        ('{"text": "🙂🙂 🏳️‍🌈"}'.encode(), 200),
        (json.dumps({"text": "word " * 10_000}).encode(), 422),
        (json.dumps({"text": "word " * 3_000, "truncate": True}).encode(), 200),
        (b'{"text": "a", "model": "none"}', 404),
        (b'{"text": 7}', 422),
        (b'{"text": "a", "beam": 2}', 422),
        (b'{"text": "a", "beam_size": "2"}', 422),
        (b'{"text": "a"', 400),
        (b"\xff\x00", 400),
        (b"[" * 50_000, 400),
        (b'{"text": "' + b"a" * 2_000_000 + b'"}', 413),
    ],
)
@pytest.mark.parametrize("path", [TRANSLATE, STREAM])
async def test_whatever_is_sent_it_goes_on(client: httpx.AsyncClient, path: str, content: bytes, status: int) -> None:
    response = await client.post(path, content=content, headers={"content-type": "application/json"})
    assert response.status_code == status
    if status != 200:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == status
    assert len(await translate(client, "It sings.")) == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", TRANSLATE, 405), ("GET", "/nothing", 404), ("POST", "/translate", 404), ("GET", "/v1/", 404)],
)
async def test_paths_that_are_none_get_problem_documents_too(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await client.request(method, path)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")


async def test_wrong_types_of_content_are_refused(client: httpx.AsyncClient) -> None:
    response = await client.post(TRANSLATE, content=b'{"text": "a"}', headers={"content-type": "text/plain"})
    assert response.status_code == 415


async def test_pages_of_other_origins_may_call_where_that_is_set(client: httpx.AsyncClient) -> None:
    for origin, allowed in (("https://a.example", "https://a.example"), ("https://b.example", None)):
        response = await client.get("/v1/models", headers={"Origin": origin})
        assert response.headers.get("access-control-allow-origin") == allowed


async def test_a_body_that_never_ends_gets_a_timeout(url: str) -> None:
    async with connected(url) as (reader, writer):
        writer.write(raw_request(TRANSLATE, b'{"text": "A red child"}')[:-5])
        assert (await asyncio.wait_for(reader.readline(), TIMEOUT)).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("options", [{"beam_size": 1}, {"beam_size": 4}, {"explain": True, "alternatives": 2}])
async def test_a_stream_s_pieces_joined_are_the_plain_reply(
    client: httpx.AsyncClient, model: str, options: dict[str, Any]
) -> None:
    text = "A red child sings on the street.  An old cat sleeps at home!\n\nA happy woman runs."
    body = {"text": text, "model": model, **options}
    plain = (await client.post(TRANSLATE, json=body)).json()
    pieces, last = [], None
    async with client.stream("POST", STREAM, json=body) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                last = json.loads(line.removeprefix("data: "))
                pieces.append(last.get("text", ""))
    assert "".join(pieces) == plain["translations"][0]["text"]
    assert len(pieces) > 3
    assert last == plain
    assert plain["translations"][0]["text"].count("\n\n") == 1


@pytest.mark.parametrize("model", MODELS)
async def test_attention_covers_the_text_that_was_sent(client: httpx.AsyncClient, model: str) -> None:
    text = "A red child sings. An old cat sleeps."
    (translation,) = await translate(client, text, model=model, explain=True, alternatives=1)
    for rendering in (translation, *translation["alternatives"]):
        attention = rendering["attention"]
        assert attention["axes"] == ["target", "source"]
        words = [source for source in attention["sources"] if source["text"] != "<eos>"]
        assert [text[word["start"] : word["end"]] for word in words] == [word["text"] for word in words]
        assert "".join(word["text"] for word in words) == text.replace(" ", "")
        assert len(attention["weights"]) == len(attention["targets"]) >= len(rendering["tokens"])
        for row in attention["weights"]:
            assert len(row) == len(attention["sources"])
            assert sum(row) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("options", [{"beam_size": 1}, {"beam_size": 4}, {"beam_size": 3, "model": "tiny-en-de-gru"}])
async def test_200_at_once_get_what_one_alone_gets(client: httpx.AsyncClient, options: dict[str, Any]) -> None:
    alone = {text: await translate(client, text, **options) for text in SENTENCES}
    drawn = random.Random(7).choices(SENTENCES, k=200)  # noqa: S311
    together = await asyncio.gather(*(translate(client, text, **options) for text in drawn))
    # Scores may differ in the last bits, as kernels sum in another order for another number of rows.
    assert [reply[0]["text"] for reply in together] == [alone[text][0]["text"] for text in drawn]
    scores = [reply[0]["score"] for reply in together]
    assert scores == pytest.approx([alone[text][0]["score"] for text in drawn], abs=1e-4)
    assert len({translation[0]["text"] for translation in alone.values()}) > 10


@pytest.mark.parametrize("beam_size", [1, 4])
async def test_among_clients_that_leave_and_deadlines_that_pass_the_others_get_their_texts(
    client: httpx.AsyncClient, url: str, beam_size: int
) -> None:
    chance = random.Random(11)  # noqa: S311
    alone = {text: (await translate(client, text, beam_size=beam_size))[0]["text"] for text in SENTENCES}

    async def ask(text: str, fate: str, delay: float) -> None:
        await asyncio.sleep(delay)
        if fate == "stays":
            assert (await translate(client, text, beam_size=beam_size))[0]["text"] == alone[text]
        elif fate == "hurries":
            body = {"text": text, "beam_size": beam_size}
            response = await client.post(TRANSLATE, json=body, headers={"X-Request-Timeout": "0.005"})
            assert response.status_code in (200, 504)
            if response.status_code == 200:
                assert response.json()["translations"][0]["text"] == alone[text]
        else:
            async with connected(url) as (_, writer):
                paragraph = json.dumps({"text": " ".join(SENTENCES), "beam_size": beam_size}).encode()
                writer.write(raw_request(chance.choice([TRANSLATE, STREAM]), paragraph))
                await writer.drain()
                await asyncio.sleep(chance.random() * 0.1)

    fates = chance.choices(["stays", "hurries", "leaves"], weights=[6, 2, 1], k=120)
    await asyncio.gather(*(ask(chance.choice(SENTENCES), fate, chance.random()) for fate in fates))
    await until(lambda: idle(client))


async def test_a_client_that_leaves_frees_its_slots(client: httpx.AsyncClient, url: str) -> None:
    async def busy() -> bool:
        return await figure(client, "seqserve_queue_depth") > 100

    async with connected(url) as (_, writer):
        body = {"text": " ".join(SENTENCES * 8), "beam_size": 16, "length_penalty": 0.1}
        writer.write(raw_request(STREAM, json.dumps(body).encode()))
        await until(busy)
    await until(lambda: idle(client))
    assert 'outcome="gone"' in (await client.get("/metrics")).text


async def test_metrics_are_those_of_the_design(client: httpx.AsyncClient) -> None:
    text = (await client.get("/metrics")).text
    for name in (
        "seqserve_request_duration_seconds_bucket",
        "seqserve_queue_duration_seconds_bucket",
        "seqserve_preprocess_duration_seconds_bucket",
        "seqserve_inference_duration_seconds_bucket",
        "seqserve_postprocess_duration_seconds_bucket",
        "seqserve_time_to_first_token_seconds_bucket",
        "seqserve_inter_token_seconds_bucket",
        "seqserve_batch_rows_bucket",
        "seqserve_batch_cost_tokens_bucket",
        "seqserve_batch_padding_ratio_bucket",
        "seqserve_queue_depth",
        "seqserve_running_rows",
        "seqserve_tokens_total",
        "seqserve_rejected_total",
        "seqserve_model_info",
    ):
        assert f"\n{name}{{" in text, name
    assert "/nothing" not in text


async def test_under_load_a_stop_signal_loses_nothing_that_was_accepted(tmp_path: Path) -> None:
    with serve(tmp_path) as (process, url):
        async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT, limits=httpx.Limits(max_connections=50)) as client:
            paragraph = " ".join(SENTENCES)
            alone = await translate(client, paragraph, beam_size=8)
            accepted = [asyncio.create_task(translate(client, paragraph, beam_size=8)) for _ in range(8)]

            async def all_accepted() -> bool:
                return await figure(client, "seqserve_preprocess_duration_seconds_count") == 9

            await until(all_accepted)
            process.send_signal(signal.SIGTERM)
            await until(lambda: _refused(client))
            replies = await asyncio.gather(*accepted)
        assert replies == [alone] * 8
        assert await asyncio.to_thread(process.wait, TIMEOUT) == 0


async def _refused(client: httpx.AsyncClient) -> bool:
    """Whether a new request is refused, by a problem document or by nobody listening."""
    try:
        response = await client.post(TRANSLATE, json={"text": "It sings."})
    except httpx.TransportError:
        return True
    assert response.status_code in (200, 503)
    if response.status_code == 503:
        assert response.json()["type"] == "urn:seqserve:problem:shutting-down"
        assert response.headers["retry-after"] == "1"
    return response.status_code == 503
