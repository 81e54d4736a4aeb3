"""Who may ask, how often, and what a browser is told, through ASGI."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from service.api.app import create_admin_face, create_face
from service.api.life import Life
from service.keys import draw_key
from service.settings import Settings
from tests.service.replies import POSTED, TEXT, TRANSLATE, check_problem, sample

Serve = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]
BODY = {"text": TEXT}
API = ("cache-control", "content-security-policy", "x-content-type-options")


@pytest.fixture
def serve(life: Life) -> Serve:
    @asynccontextmanager
    async def served(address: str = "10.0.0.1", **settings: object) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(create_face(life, Settings.model_validate(settings)), client=(address, 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            yield client

    return served


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    """A key for everything, one that is only for tagging, and the file that lets them in."""
    (full, full_line), (tagging, tagging_line) = draw_key("full"), draw_key("tagging", ["tag"])
    (tmp_path / "keys").write_text(f"{full_line}\n{tagging_line}\n")
    return {"file": str(tmp_path / "keys"), "full": full, "tagging": tagging}


async def test_without_a_key_nothing_is_done(serve: Serve, keys: dict[str, str]) -> None:
    async with serve(key_file=keys["file"]) as client:
        for path in (*POSTED, "/v1/nothing"):
            refused = await client.post(path, json=BODY)
            check_problem(refused, "missing-key")
            assert refused.headers["www-authenticate"] == 'Bearer realm="seqserve"'
        for path in ("/v1/models", "/v1/models/echo", "/nothing"):
            check_problem(await client.get(path), "missing-key")
        for path in ("/v1/docs", "/v1/openapi.json", "/v1/docs/assets/swagger-ui.css", "/metrics"):
            assert (await client.get(path)).status_code == 200
        assert (await client.get("/")).status_code == 307


async def test_either_header_takes_a_key(serve: Serve, keys: dict[str, str]) -> None:
    full = keys["full"]
    async with serve(key_file=keys["file"]) as client:
        for headers in (
            {"Authorization": f"Bearer {full}"},
            {"Authorization": f"bearer  {full}"},
            {"X-API-Key": full},
            {"Authorization": "Basic bm8=", "X-API-Key": full},
        ):
            reply = await client.post(TRANSLATE, json=BODY, headers=headers)
            assert reply.json()["translations"][0]["text"] == TEXT
        for headers in (
            {"Authorization": f"Bearer {full}x"},
            {"Authorization": "Bearer"},
            {"X-API-Key": "full"},
            {"Authorization": "Bearer wrong", "X-API-Key": full},
        ):
            refused = await client.post(TRANSLATE, json=BODY, headers=headers)
            check_problem(refused, "invalid-key")
            assert refused.headers["www-authenticate"] == 'Bearer realm="seqserve", error="invalid_token"'
        check_problem(
            await client.post(TRANSLATE, json=BODY, headers={"Authorization": f"Basic {full}"}), "missing-key"
        )


async def test_a_key_may_be_for_some_tasks_alone(serve: Serve, keys: dict[str, str]) -> None:
    async with serve(key_file=keys["file"]) as client:
        client.headers["X-API-Key"] = keys["tagging"]
        refused = await client.post(TRANSLATE, json=BODY)
        assert check_problem(refused, "key-not-allowed")["detail"].startswith(
            "the API key is for tag, not for translate"
        )
        assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
        # The router takes this for the same path.
        check_problem(await client.post(f"{TRANSLATE}%0A", json=BODY), "key-not-allowed")
        assert (await client.get("/v1/models")).status_code == 200
        check_problem(await client.post("/v1/tag", json=BODY), "unknown-model", "model")


async def test_refusals_are_counted_by_task_and_kind(serve: Serve, keys: dict[str, str]) -> None:
    async with serve(key_file=keys["file"]) as client:

        async def figures() -> list[float]:
            text = (await client.get("/metrics")).text
            assert keys["full"] not in text
            kinds = ("missing-key", "invalid-key", "key-not-allowed")
            return [sample(text, "seqserve_rejected_total", task="translate", reason=kind) for kind in kinds]

        before = await figures()
        for key in (None, "full.wrong", keys["full"] + "x", keys["tagging"]):
            await client.post(TRANSLATE, json=BODY, headers={"X-API-Key": key} if key else {})
        assert [b - a for a, b in zip(before, await figures(), strict=True)] == [1, 2, 1]


async def test_the_description_says_whether_keys_are_asked_for(serve: Serve, keys: dict[str, str]) -> None:
    async with serve() as client:
        description = (await client.get("/v1/openapi.json")).json()
        assert "security" not in description
        assert "securitySchemes" not in description["components"]
    async with serve(key_file=keys["file"]) as client:
        description = (await client.get("/v1/openapi.json")).json()
        schemes = description["components"]["securitySchemes"]
        assert description["security"] == [{name: []} for name in schemes]
        sent = [
            {"Authorization": f"{scheme['scheme']} {keys['full']}"}
            if scheme["type"] == "http"
            else {scheme["name"]: keys["full"]}
            for scheme in schemes.values()
        ]
        assert len(sent) == 2
        for headers in sent:
            assert (await client.post(TRANSLATE, json=BODY, headers=headers)).status_code == 200


async def test_pages_of_other_origins_may_send_a_key(serve: Serve, keys: dict[str, str]) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-api-key"}
    async with serve(key_file=keys["file"], cors_origins=("https://a.example",)) as client:
        before = await client.options(TRANSLATE, headers={"Origin": "https://a.example", **asked})
        assert before.status_code == 200


async def count_limited(client: httpx.AsyncClient) -> float:
    return sample((await client.get("/metrics")).text, "seqserve_request_duration_seconds_count", outcome="limited")


async def test_who_asks_too_often_waits_and_others_do_not(serve: Serve, keys: dict[str, str]) -> None:
    async with serve(key_file=keys["file"], rate_limit="2/hour") as client:
        before = await count_limited(client)
        client.headers["X-API-Key"] = keys["full"]
        for _ in range(2):
            assert (await client.post(TRANSLATE, json=BODY)).status_code == 200
        refused = await client.post(TRANSLATE, json=BODY)
        check_problem(refused, "rate-limited")
        # It is no failure of the service, and alerts do not take it for one.
        assert await count_limited(client) == before + 1
        assert 1795 <= int(refused.headers["retry-after"]) <= 1800
        # Neither what is open nor what is refused for its key counts, and others have places of their own.
        assert (await client.get("/v1/openapi.json")).status_code == 200
        client.headers["X-API-Key"] = keys["tagging"]
        for _ in range(3):
            check_problem(await client.post(TRANSLATE, json=BODY), "key-not-allowed")
        assert (await client.get("/v1/models")).status_code == 200


async def test_without_keys_addresses_are_counted(life: Life) -> None:
    face = create_face(life, Settings(rate_limit="1/day burst 2"))
    for address in ("10.0.0.1", "10.0.0.2"):
        transport = httpx.ASGITransport(face, client=(address, 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            statuses = [(await client.get("/v1/models")).status_code for _ in range(3)]
            assert statuses == [200, 200, 429]


async def test_those_without_an_address_are_counted_together(life: Life) -> None:
    transport = httpx.ASGITransport(create_face(life, Settings(rate_limit="1/day")), client=None)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        assert [(await client.get("/v1/models")).status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("rate", ["", "often", "0/second", "5/fortnight", "1/second; 5/day"])
def test_a_rate_that_is_none_is_refused_at_the_start(rate: str) -> None:
    with pytest.raises(ValidationError, match="rate_limit"):
        Settings(rate_limit=rate)


async def test_replies_tell_browsers_to_make_nothing_of_them(serve: Serve) -> None:
    async with serve() as client:
        for reply in (
            await client.post(TRANSLATE, json=BODY),
            await client.post(TRANSLATE, json={"text": ""}),
            await client.get("/v1/models"),
            await client.get("/v1/openapi.json"),
            await client.get("/nothing"),
        ):
            policy = "default-src 'none'; frame-ancestors 'none'"
            assert [reply.headers.get_list(name) for name in API] == [["no-store"], [policy], ["nosniff"]]


async def test_the_page_runs_its_own_scripts_and_no_others(serve: Serve) -> None:
    async with serve() as client:
        page = await client.get("/v1/docs")
    (policy,) = page.headers.get_list("content-security-policy")
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    assert allowed["default-src"] == allowed["frame-ancestors"] == "'none'"
    assert len(re.findall(r"<script>", page.text)) == len(re.findall("'sha256-", allowed["script-src"])) == 1
    assert "unsafe" not in allowed["script-src"]
    assert page.headers["x-content-type-options"] == "nosniff"


async def test_figures_may_have_a_port_of_their_own(life: Life) -> None:
    settings = Settings(admin_port=3999)
    transports = [httpx.ASGITransport(face(life, settings)) for face in (create_face, create_admin_face)]
    async with (
        httpx.AsyncClient(transport=transports[0], base_url="http://service") as public,
        httpx.AsyncClient(transport=transports[1], base_url="http://service") as admin,
    ):
        check_problem(await public.get("/metrics"), "not-found")
        assert "seqserve_request_duration_seconds" in (await admin.get("/metrics")).text
        check_problem(await admin.post(TRANSLATE, content=json.dumps(BODY)), "not-found")
    with pytest.raises(ValidationError, match="is the port of all else"):
        Settings(admin_port=3000)
