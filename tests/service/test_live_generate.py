"""Tunes of a real service process on a real port, with a real bundle."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from contract.midi import TuneError, to_midi
from tests.service.live import connected, figure, idle, raw_request, until
from tests.service.replies import GENERATE, GENERATE_STREAM, MIDI, TRANSLATE, check_problem, read_events

PROMPTS = ["", "K:C\n", "M:6/8\nL:1/8\nK:G\n", 'M:4/4\nL:1/8\nK:C\n"C"C2DE']


async def generate(live_client: httpx.AsyncClient, prompt: str | list[str], **options: Any) -> list[dict[str, Any]]:
    response = await live_client.post(GENERATE, json={"prompt": prompt, **options})
    assert response.status_code == 200, response.text
    return list(response.json()["generations"])


def fault_of(tune: str) -> str | None:
    """What makes a text no tune; None where it is one."""
    try:
        to_midi(tune)
    except TuneError as error:
        return str(error)
    return None


async def test_tunes_go_on_from_their_prompts(live_client: httpx.AsyncClient) -> None:
    found = await generate(live_client, PROMPTS, seed=3)
    for prompt, each in zip(PROMPTS, found, strict=True):
        assert each["text"].startswith(prompt)
        assert each["tune"].startswith(f"X:1\nT:Tune {each['seed']}\nM:")
        assert 0 < each["length"] == len(each["text"]) - len(prompt)
        assert each["score"] < 0
    assert [each["seed"] for each in found] == [3, 4, 5, 6]
    alone = [(await generate(live_client, prompt, seed=3 + place))[0] for place, prompt in enumerate(PROMPTS)]
    assert alone == found


async def test_a_seed_writes_the_same_tune_whatever_else_is_running(live_client: httpx.AsyncClient) -> None:
    asked = [
        (PROMPTS[seed % 4], {"seed": seed, "temperature": 0.5 + seed % 3, "top_k": 2 + seed}) for seed in range(20)
    ]
    alone = [await generate(live_client, prompt, **options) for prompt, options in asked]
    others = [
        live_client.post(TRANSLATE, json={"text": "A red child sings.", "beam_size": 1 + n % 4}) for n in range(10)
    ]
    others += [
        live_client.post(GENERATE, json={"prompt": PROMPTS, "max_length": 9 + n, "temperature": 0}) for n in range(9)
    ]
    *together, _ = await asyncio.gather(
        *(generate(live_client, prompt, **options) for prompt, options in reversed(asked)), asyncio.gather(*others)
    )
    assert together == alone[::-1]
    assert len({each["text"] for (each,) in alone}) > 15


async def test_a_stream_s_pieces_joined_are_the_plain_reply(live_client: httpx.AsyncClient) -> None:
    for prompt in PROMPTS:
        for options in ({"seed": 8}, {"seed": 8, "temperature": 0}, {"seed": 8, "max_length": 2}):
            response = await live_client.post(GENERATE_STREAM, json={"prompt": prompt, **options})
            *pieces, (name, reply) = read_events(response.text)
            assert (name, reply["generations"]) == ("done", await generate(live_client, prompt, **options))
            assert "".join(piece["text"] for _, piece in pieces) == reply["generations"][0]["text"]
            assert len(pieces) >= reply["generations"][0]["length"] - 1


async def test_a_tune_that_is_one_is_played_and_another_is_told_of(live_client: httpx.AsyncClient) -> None:
    for seed in range(12):
        body = {"prompt": "M:4/4\nL:1/8\nK:C\n", "seed": seed, "temperature": 1.5 if seed % 2 else 0.3}
        (written,) = await generate(live_client, **body)
        played = await live_client.post(MIDI, json=body)
        if (fault := fault_of(written["tune"])) is not None:
            problem = check_problem(played, "invalid-tune")
            assert f"seed {seed} drew is no tune ({fault})" in problem["detail"]
        else:
            assert played.headers["x-seed"] == str(seed)
            assert played.content == to_midi(written["tune"])


@pytest.mark.parametrize(
    ("body", "slug", "field"),
    [
        ({"prompt": "K:C\nü"}, "invalid-prompt", "prompt"),
        ({"prompt": "K:C\n" + "C" * 200}, "input-too-long", "prompt"),
        ({"prompt": "K:C\n", "max_length": 500}, "invalid-request", "max_length"),
        ({"prompt": "K:C\n", "top_k": 31}, "invalid-request", "top_k"),
    ],
)
async def test_refusals(live_client: httpx.AsyncClient, body: dict[str, Any], slug: str, field: str) -> None:
    check_problem(await live_client.post(GENERATE, json=body), slug, field)


async def test_who_leaves_takes_nothing_with_them(live_client: httpx.AsyncClient, live_url: str) -> None:
    before = await figure(live_client, "seqserve_tokens_total")
    async with connected(live_url) as (reader, writer):
        writer.write(raw_request(GENERATE_STREAM, json.dumps({"prompt": "K:C\n", "seed": 1}).encode()))
        await writer.drain()
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    await until(lambda: idle(live_client))
    assert await generate(live_client, "K:C\n", seed=1)
    assert await figure(live_client, "seqserve_tokens_total") > before
