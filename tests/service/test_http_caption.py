"""Captioning over HTTP, through ASGI, over an engine without a model."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import numpy as np
import pytest

from tests.contract.pictures import draw, save
from tests.service.caption_fakes import COLOURS, GRID, FakeCaptionEngine, plain
from tests.service.fakes import SENTENCES
from tests.service.replies import (
    CAPTION,
    CAPTION_PATHS,
    CAPTION_STREAM,
    OVERLAY,
    as_base64,
    check_problem,
    read_events,
    sample,
    send_pictures,
    until,
)

RED = plain("red")
SEEN = {"width": 60, "height": 40, "box": {"left": 0, "top": 0, "right": 60, "bottom": 40}}
REPLY = {"model": "seer", "version": "1.2", "captions": [{"text": SENTENCES[1], "score": -0.5, "image": SEEN}]}


@pytest.mark.parametrize(
    "request_",
    [
        {"json": {"image": as_base64(RED)}},
        {"json": {"image": [as_base64(RED)]}},
        {"json": {"image": f"data:image/png;base64,{as_base64(RED)}"}},
        {"json": {"image": "\n".join(as_base64(RED)[i : i + 76] for i in range(0, len(as_base64(RED)), 76))}},
        {"files": {"image": RED}},
        {"files": {"image": ("photo of mine.jpg", RED, "application/octet-stream")}},
    ],
)
async def test_however_it_is_sent_a_picture_is_described(
    caption_client: httpx.AsyncClient, request_: dict[str, Any]
) -> None:
    response = await caption_client.post(CAPTION, **request_)
    assert response.status_code == 200
    assert response.json() == REPLY


async def test_several_pictures_are_described_in_their_order(caption_client: httpx.AsyncClient) -> None:
    pictures = [plain(colour) for colour in reversed(COLOURS)]
    form = await send_pictures(caption_client, CAPTION, *pictures, model="blind")
    as_json = await caption_client.post(
        CAPTION, json={"image": [as_base64(each) for each in pictures], "model": "blind"}
    )
    assert form.json() == as_json.json()
    assert (form.json()["model"], [each["text"] for each in form.json()["captions"]]) == ("blind", SENTENCES[::-1])


async def test_options_reach_the_engine_either_way(
    caption_client: httpx.AsyncClient, caption_engine: FakeCaptionEngine
) -> None:
    options = {"beam_size": 3, "length_penalty": 0.5, "max_length": 9, "alternatives": 2}
    assert (await caption_client.post(CAPTION, json={"image": as_base64(RED), **options})).status_code == 200
    assert (
        await send_pictures(caption_client, CAPTION, RED, **{name: str(value) for name, value in options.items()})
    ).is_success
    for request in caption_engine.seen:
        search = request.search
        assert (search.beam_size, search.length_penalty, search.max_length, search.alternatives) == (3, 0.5, 9, 3)


async def test_alternatives_and_attention_come_when_asked_for(caption_client: httpx.AsyncClient) -> None:
    (caption,) = (await send_pictures(caption_client, CAPTION, RED, explain="true", alternatives="1")).json()[
        "captions"
    ]
    (alternative,) = caption["alternatives"]
    for each in (caption, alternative):
        attention = each["attention"]
        assert attention["axes"] == ["target", "rows", "columns"]
        assert attention["grid"] == list(GRID)
        assert " ".join(attention["targets"]) == each["text"]
        assert np.shape(attention["weights"]) == (len(attention["targets"]), *GRID)
        assert np.allclose(np.sum(attention["weights"], axis=(1, 2)), 1, atol=1e-4)


async def test_where_a_picture_lies_on_its_side_it_is_the_upright_one_that_is_told(
    caption_client: httpx.AsyncClient,
) -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
    (caption,) = (await send_pictures(caption_client, CAPTION, save(draw(60, 40), "JPEG", exif=exif))).json()[
        "captions"
    ]
    assert (caption["image"]["width"], caption["image"]["height"]) == (40, 60)


@pytest.mark.parametrize("how", ["form", "json"])
async def test_a_stream_s_pieces_joined_are_the_plain_reply_s_text(caption_client: httpx.AsyncClient, how: str) -> None:
    if how == "form":
        plain_reply, response = [
            await send_pictures(caption_client, path, RED, explain="true") for path in (CAPTION, CAPTION_STREAM)
        ]
    else:
        body = {"image": as_base64(RED), "explain": True}
        plain_reply, response = [await caption_client.post(path, json=body) for path in (CAPTION, CAPTION_STREAM)]
    assert response.headers["content-type"].startswith("text/event-stream")
    *pieces, (last, reply) = read_events(response.text)
    assert len(pieces) > 3
    assert {name for name, _ in pieces} == {"token"}
    assert "".join(piece["text"] for _, piece in pieces) == SENTENCES[1]
    assert (last, reply) == ("done", plain_reply.json())


async def test_an_overlay_is_one_png(caption_client: httpx.AsyncClient) -> None:
    form = await send_pictures(caption_client, OVERLAY, RED, beam_size="1")
    as_json = await caption_client.post(OVERLAY, json={"image": as_base64(RED), "beam_size": 1})
    assert (form.status_code, form.headers["content-type"]) == (200, "image/png")
    assert form.content == as_json.content
    assert form.content.startswith(b"\x89PNG")


async def test_an_overlay_needs_attention(caption_client: httpx.AsyncClient) -> None:
    problem = check_problem(await send_pictures(caption_client, OVERLAY, RED, model="blind"), "no-attention", "model")
    assert "choose a model that has it" in problem["detail"]
    check_problem(
        await send_pictures(caption_client, CAPTION, RED, model="blind", explain="true"), "no-attention", "explain"
    )


async def test_pictures_have_limits_of_their_own(caption_client: httpx.AsyncClient) -> None:
    problem = check_problem(
        await send_pictures(caption_client, CAPTION, RED, RED + bytes(50_000)), "body-too-large", "image.1"
    )
    assert "the limit is 50000" in problem["detail"]
    check_problem(await send_pictures(caption_client, CAPTION, *[bytes(49_000)] * 5), "body-too-large")
    # Beside pictures, what is not sent to them keeps the usual limit.
    headers = {"content-type": "application/json"}
    check_problem(await caption_client.post("/v1/translate", content=bytes(1001), headers=headers), "body-too-large")
    assert (
        await send_pictures(caption_client, CAPTION, plain("red", 200, 200, "GIF") + bytes(2000))
    ).status_code == 200


async def test_what_all_hold_together_is_bounded_and_given_back(
    caption_client: httpx.AsyncClient, caption_engine: FakeCaptionEngine
) -> None:
    caption_engine.hold()
    large = RED + bytes(45_000)
    waiting = [asyncio.ensure_future(send_pictures(caption_client, CAPTION, large, large, large)) for _ in range(2)]
    await until(lambda: len(caption_engine.tickets) == 6)
    refused = await send_pictures(caption_client, CAPTION, large)
    assert "are being held: retry later" in check_problem(refused, "queue-full")["detail"]
    assert refused.headers["retry-after"] == "1"
    caption_engine.release()
    assert {response.status_code for response in await asyncio.gather(*waiting)} == {200}
    for _ in range(5):
        assert (await send_pictures(caption_client, CAPTION, large, large)).status_code == 200


async def test_a_deadline_that_passes_frees_what_was_asked(
    caption_client: httpx.AsyncClient, caption_engine: FakeCaptionEngine
) -> None:
    caption_engine.hold()
    for path in CAPTION_PATHS:
        response = await caption_client.post(path, files={"image": RED}, headers={"X-Request-Timeout": "0.05"})
        check_problem(response, "deadline-exceeded")
    assert all(ticket.future.cancelled() for ticket in caption_engine.tickets)


async def test_a_picture_s_time_is_told_by_stages(caption_client: httpx.AsyncClient) -> None:
    before = (await caption_client.get("/metrics")).text
    await send_pictures(caption_client, CAPTION, RED, plain("lime"))
    after = (await caption_client.get("/metrics")).text

    def more(name: str, **labels: str) -> float:
        return sample(after, name, model="seer", **labels) - sample(before, name, model="seer", **labels)

    assert more("seqserve_preprocess_duration_seconds_count", task="caption") == 1
    assert more("seqserve_tokens_total", direction="input") == 2 * GRID[0] * GRID[1]


async def test_models_tell_how_they_look(caption_client: httpx.AsyncClient) -> None:
    (listed, _) = (await caption_client.get("/v1/models")).json()["models"]
    assert (listed["task"], listed["explains"]) == ("caption", True)
    assert listed["image"] == {"size": 32, "fit": "squeeze", "grid": [2, 3]}
    assert listed["limits"] == {"target": 40}
    assert (await caption_client.get("/v1/models/blind")).json()["image"] == listed["image"]


async def test_both_bodies_are_described(caption_client: httpx.AsyncClient) -> None:
    description = (await caption_client.get("/v1/openapi.json")).json()
    bodies = {path: description["paths"][path]["post"]["requestBody"]["content"] for path in CAPTION_PATHS}
    assert all(list(body) == ["application/json", "multipart/form-data"] for body in bodies.values())
    fields = description["components"]["schemas"]["CaptionRequest"]["properties"]
    one, several = fields["image"]["anyOf"]
    assert (one["contentEncoding"], several["maxItems"], several["items"]) == ("base64", 4, one)
    form = bodies[CAPTION]["multipart/form-data"]["schema"]
    assert (form["required"], form["additionalProperties"]) == (["image"], False)
    assert set(form["properties"]) == set(fields)
    assert form["properties"]["image"]["items"] == {"type": "string", "format": "binary"}
    assert (form["properties"]["beam_size"]["type"], form["properties"]["beam_size"]["maximum"]) == ("integer", 16)
    single = bodies[OVERLAY]["multipart/form-data"]["schema"]["properties"]
    assert (single["image"]["format"], "explain" in single) == ("binary", False)
    replies = description["paths"][OVERLAY]["post"]["responses"]
    assert list(replies["200"]["content"]) == ["image/png"]
    assert list(replies["4XX"]["content"]) == ["application/problem+json"]
    json.dumps(description)
