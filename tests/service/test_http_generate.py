"""Generation over HTTP, through ASGI, over an engine without a model."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
import symusic

from tests.service.generate_fakes import PLAIN, TARGET_LIMIT, FakeComposingEngine
from tests.service.replies import (
    GENERATE,
    GENERATE_PATHS,
    GENERATE_STREAM,
    MIDI,
    check_problem,
    read_events,
    sample,
    until,
)

PROMPT = "M:6/8\nL:1/8\nK:D\n"
TEXT = PROMPT + PLAIN
ONE = {"text": TEXT, "tune": f"X:1\nT:Tune 7\n{TEXT}\n", "seed": 7, "score": -0.5, "length": len(PLAIN)}


async def test_a_tune_goes_on_from_its_prompt(composer_client: httpx.AsyncClient) -> None:
    response = await composer_client.post(GENERATE, json={"prompt": PROMPT, "seed": 7})
    assert response.status_code == 200
    assert response.json() == {"model": "tunes", "version": "1.2", "generations": [ONE]}


async def test_items_of_a_list_have_seeds_of_their_own_by_which_each_can_be_had_alone(
    composer_client: httpx.AsyncClient,
) -> None:
    listed = (await composer_client.post(GENERATE, json={"prompt": [PROMPT, PROMPT, "K:G\n"], "seed": 0})).json()
    assert [(each["seed"], each["text"]) for each in listed["generations"]] == [
        (0, TEXT),
        (1, PROMPT + "A3 d3|]"),
        (2, "K:G\nD ^ F|"),
    ]
    alone = await composer_client.post(GENERATE, json={"prompt": PROMPT, "seed": 1})
    assert alone.json()["generations"] == listed["generations"][1:2]


async def test_options_reach_the_engine_and_a_seed_is_drawn_and_told(
    composer_client: httpx.AsyncClient, composing_engine: FakeComposingEngine
) -> None:
    options = {"temperature": 0.5, "top_k": 9, "top_p": 0.8, "max_length": 6}
    found = (await composer_client.post(GENERATE, json={"prompt": PROMPT, **options})).json()["generations"]
    (request,) = composing_engine.seen
    sampling = request.search.sampling
    assert (sampling.temperature, sampling.top_k, sampling.top_p, request.search.max_length) == (0.5, 9, 0.8, 6)
    assert [(each["seed"], each["length"], each["unfinished"]) for each in found] == [(sampling.seed, 6, True)]
    assert (await composer_client.post(GENERATE, json={"prompt": "", "temperature": 0})).is_success
    assert composing_engine.seen[1].search.sampling is None


async def test_a_prompt_may_be_empty_and_text_has_no_tune_nor_end(composer_client: httpx.AsyncClient) -> None:
    found = (
        await composer_client.post(GENERATE, json={"prompt": "", "model": "texts", "max_length": 5, "seed": 7})
    ).json()
    assert found["model"] == "texts"
    assert found["generations"] == [{"text": PLAIN[:5], "seed": 7, "score": -0.5, "length": 5}]


@pytest.mark.parametrize("seed", [1, 3, 4, 7])
async def test_a_stream_s_pieces_joined_are_the_text_prompt_and_all(
    composer_client: httpx.AsyncClient, seed: int
) -> None:
    body = {"prompt": PROMPT, "seed": seed}
    response = await composer_client.post(GENERATE_STREAM, json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    *pieces, (name, reply) = read_events(response.text)
    assert {kind for kind, _ in pieces} == {"token"}
    assert name == "done"
    assert reply == (await composer_client.post(GENERATE, json=body)).json()
    assert "".join(piece["text"] for _, piece in pieces) == reply["generations"][0]["text"]
    assert pieces[0][1]["text"].startswith(PROMPT)


async def test_a_tune_is_played(composer_client: httpx.AsyncClient) -> None:
    response = await composer_client.post(
        MIDI, json={"prompt": PROMPT, "seed": 7}, headers={"origin": "https://page.example"}
    )
    assert (response.status_code, response.headers["content-type"]) == (200, "audio/midi")
    assert response.headers["x-seed"] == "7"
    assert "X-Seed" in response.headers["access-control-expose-headers"]
    assert response.headers["content-disposition"] == 'attachment; filename="tune-7.mid"'
    (track,) = symusic.Score.from_midi(response.content).tracks  # type: ignore[attr-defined]
    assert [note.pitch for note in track.notes] == [62, 64, 66, 67, 69, 71, 73, 74]


@pytest.mark.parametrize(
    ("body", "slug", "field", "detail"),
    [
        ({"prompt": PROMPT, "seed": 2}, "invalid-tune", None, "seed 2 drew is no tune (line 6, character 2: Malformed"),
        ({"prompt": "", "seed": 7}, "invalid-tune", None, "seed 7 drew is no tune, it lacks a key"),
        ({"prompt": PROMPT, "model": "texts"}, "invalid-request", "model", "'texts' writes no tunes"),
    ],
)
async def test_what_is_no_tune_cannot_be_played(
    composer_client: httpx.AsyncClient, body: dict[str, Any], slug: str, field: str | None, detail: str
) -> None:
    problem = check_problem(await composer_client.post(MIDI, json=body), slug, field)
    assert detail in problem["detail"]


@pytest.mark.parametrize("path", GENERATE_PATHS)
@pytest.mark.parametrize(
    ("body", "slug", "field"),
    [
        ({}, "invalid-request", "prompt"),
        ({"prompt": None}, "invalid-request", "prompt"),
        ({"prompt": 7}, "invalid-request", "prompt"),
        ({"prompt": PROMPT, "promt": ""}, "invalid-request", "promt"),
        ({"prompt": PROMPT, "beam_size": 2}, "invalid-request", "beam_size"),
        ({"prompt": PROMPT, "temperature": -1}, "invalid-request", "temperature"),
        ({"prompt": PROMPT, "temperature": 6}, "invalid-request", "temperature"),
        ({"prompt": PROMPT, "temperature": "1"}, "invalid-request", "temperature"),
        ({"prompt": PROMPT, "top_p": 0}, "invalid-request", "top_p"),
        ({"prompt": PROMPT, "top_k": 0}, "invalid-request", "top_k"),
        ({"prompt": PROMPT, "top_k": 1000}, "invalid-request", "top_k"),
        ({"prompt": PROMPT, "seed": -1}, "invalid-request", "seed"),
        ({"prompt": PROMPT, "seed": 2**32}, "invalid-request", "seed"),
        ({"prompt": PROMPT, "max_length": 0}, "invalid-request", "max_length"),
        ({"prompt": PROMPT, "max_length": TARGET_LIMIT}, "invalid-request", "max_length"),
        ({"prompt": "K:D\n♯", "seed": 1}, "invalid-prompt", "prompt"),
        ({"prompt": "DEF|"}, "invalid-prompt", "prompt"),
        ({"prompt": "K:D\n" + "DEF|" * 20}, "input-too-long", "prompt"),
        ({"prompt": "K:D\n" + "DEF|" * 60}, "input-too-long", "prompt"),
        ({"prompt": PROMPT, "model": "nobody"}, "unknown-model", "model"),
    ],
)
async def test_refusals_say_what_to_change(
    composer_client: httpx.AsyncClient, path: str, body: dict[str, Any], slug: str, field: str
) -> None:
    check_problem(await composer_client.post(path, json=body), slug, field)


@pytest.mark.parametrize(
    ("prompt", "slug", "field"),
    [
        ([], "invalid-request", "prompt"),
        ([PROMPT] * 5, "invalid-request", "prompt"),
        ([PROMPT, 3], "invalid-request", "prompt.1"),
        ([PROMPT, "K:D\nü"], "invalid-prompt", "prompt.1"),
    ],
)
async def test_refusals_of_lists_name_the_item(
    composer_client: httpx.AsyncClient, prompt: list[Any], slug: str, field: str
) -> None:
    check_problem(await composer_client.post(GENERATE, json={"prompt": prompt}), slug, field)


async def test_what_is_written_is_counted_and_the_model_described(composer_client: httpx.AsyncClient) -> None:
    before = (await composer_client.get("/metrics")).text
    assert (await composer_client.post(GENERATE, json={"prompt": PROMPT})).is_success
    after = (await composer_client.get("/metrics")).text
    labels = {"task": "generate", "model": "tunes"}
    for name in ("seqserve_preprocess_duration_seconds_count", "seqserve_postprocess_duration_seconds_count"):
        assert sample(after, name, **labels) == sample(before, name, **labels) + 1
    read = [sample(each, "seqserve_tokens_total", model="tunes", direction="input") for each in (before, after)]
    assert read[1] - read[0] == 1 + len(PROMPT)
    models = (await composer_client.get("/v1/models")).json()["models"]
    assert {each["name"]: each["notation"] for each in models} == {"tunes": "abc", "texts": "text"}


async def test_a_stream_s_rows_are_freed_when_its_client_goes(
    composer_client: httpx.AsyncClient, composing_engine: FakeComposingEngine
) -> None:
    composing_engine.pause_after = 2
    sending = asyncio.ensure_future(composer_client.post(GENERATE_STREAM, json={"prompt": PROMPT}))
    await until(lambda: composing_engine.tickets)
    sending.cancel()
    await until(composing_engine.tickets[0].future.cancelled)
