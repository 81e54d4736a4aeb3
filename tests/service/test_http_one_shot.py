"""Classifying, tagging and recommending over HTTP, through ASGI, over engines without a model."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.api.app import create_face
from service.api.life import Life
from service.catalogue import Catalogue
from service.runtime.errors import EngineFailedError, QueueFullError
from service.runtime.requests import Array
from service.settings import Settings
from tests.service.fakes import FakeEngine, make_catalogue
from tests.service.one_shot_fakes import ITEMS, FakeOneShotEngine, answerer, classifier, recommender, tagger
from tests.service.replies import ANSWER, CLASSIFY, RECOMMEND, TAG, TRANSLATE, check_problem, sample, until

TOLD = ["Mary went to the kitchen.", "John moved to the garden."]
BODIES: dict[str, dict[str, Any]] = {
    CLASSIFY: {"text": "A good film."},
    TAG: {"text": "Anna in Berlin."},
    RECOMMEND: {"session": [50, 20]},
    ANSWER: {"story": TOLD, "question": "Where is Mary?"},
}
NAMES = {CLASSIFY: "rater", TAG: "marker", RECOMMEND: "follower", ANSWER: "teller"}
PATHS = pytest.mark.parametrize("path", list(BODIES))


@pytest.fixture
def catalogue(engine: FakeEngine, tmp_path: Path) -> Iterator[Catalogue]:
    folders = [tmp_path / name for name in ("rater", "reader", "marker", "follower", "teller")]
    for folder in folders:
        folder.mkdir()
    rater, reader, marker, follower, teller = folders
    one_shot = [
        classifier(rater, "attention"),
        classifier(reader, "words", "sentences", documents=True),
        tagger(marker),
        recommender(follower),
        answerer(teller),
    ]
    catalogue = Catalogue([*make_catalogue(engine), *one_shot], {})
    yield catalogue
    catalogue.close(drain=False)


@pytest.fixture
def life(catalogue: Catalogue) -> Life:
    life = Life()
    life.start(catalogue)
    return life


@pytest.fixture
async def client(life: Life) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(max_items=20, max_sentences=30, max_queue=30, max_explained_items=3)
    transport = httpx.ASGITransport(create_face(life, settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


def engine_of(catalogue: Catalogue, path: str) -> FakeOneShotEngine:
    model = catalogue.get(NAMES[path])
    assert model is not None
    assert isinstance(model.engine, FakeOneShotEngine)
    return model.engine


async def test_a_text_is_classified(client: httpx.AsyncClient) -> None:
    response = await client.post(CLASSIFY, json={"text": "a good film", "top_k": 2})
    assert response.status_code == 200
    reply = response.json()
    (prediction,) = reply.pop("predictions")
    assert reply == {"model": "rater", "version": "3"}
    assert list(prediction) == ["label", "score", "labels"]
    assert [each["label"] for each in prediction["labels"]] == ["good", "neither"]
    assert {"label": prediction["label"], "score": prediction["score"]} == prediction["labels"][0]
    assert prediction["score"] == pytest.approx(0.5065, abs=1e-4)


async def test_texts_are_classified_in_their_order(client: httpx.AsyncClient) -> None:
    texts = ["good", "bad", "film", "good good bad"]
    predictions = (await client.post(CLASSIFY, json={"text": texts})).json()["predictions"]
    assert [prediction["label"] for prediction in predictions] == ["good", "bad", "neither", "good"]


async def test_a_text_is_explained_where_that_is_asked_for(client: httpx.AsyncClient) -> None:
    body = {"text": "Good film.", "explain": True}
    (prediction,) = (await client.post(CLASSIFY, json=body)).json()["predictions"]
    (shown,) = prediction["attention"]
    assert shown["sources"][1] == {"text": "Good", "start": 0, "end": 4}
    assert (shown["name"], shown["axes"], len(shown["weights"])) == ("attention", ["source"], len(shown["sources"]))
    body |= {"model": "reader"}
    (prediction,) = (await client.post(CLASSIFY, json=body)).json()["predictions"]
    assert [(level["name"], level.get("targets")) for level in prediction["attention"]] == [
        ("words", ["Good film."]),
        ("sentences", None),
    ]


async def test_entities_are_found(client: httpx.AsyncClient) -> None:
    texts = ["🙂 Anna Smith. 柏林!", "nobody"]
    response = await client.post(TAG, json={"text": texts})
    assert response.status_code == 200
    first, second = response.json()["predictions"]
    assert [(e["text"], e["label"], e["start"], e["end"]) for e in first["entities"]] == [
        ("🙂", "PER", 0, 1),
        ("Anna Smith", "PER", 2, 12),
        ("柏林", "LOC", 14, 16),
    ]
    assert all(0 < entity["score"] <= 1 for entity in first["entities"])
    assert second == {"entities": []}


async def test_items_are_recommended(client: httpx.AsyncClient) -> None:
    body = {"session": [50, "x", 20], "top_k": 2, "exclude": [21], "exclude_seen": True}
    response = await client.post(RECOMMEND, json=body)
    assert response.status_code == 200
    assert response.json() == {
        "model": "follower",
        "version": "3",
        "recommendations": [
            {
                "items": [{"item": 22, "score": -1.0}, {"item": 23, "score": -2.0}],
                "unknown": ["x"],
                "fallback": False,
            }
        ],
    }


async def test_sessions_are_recommended_for_in_their_order(client: httpx.AsyncClient) -> None:
    body = {"session": [[20], [], [999], [10, 11, 12, 13, 14, 15]], "top_k": 1, "explain": False}
    recommendations = (await client.post(RECOMMEND, json=body)).json()["recommendations"]
    assert [(r["items"][0]["item"], r["fallback"], r.get("truncated")) for r in recommendations] == [
        (21, False, None),
        (12, True, None),
        (12, True, None),
        (16, False, True),
    ]
    assert "score" not in recommendations[1]["items"][0]


async def test_a_session_is_explained_where_that_is_asked_for(client: httpx.AsyncClient) -> None:
    body = {"session": [10, 999, 11], "explain": True}
    (found,) = (await client.post(RECOMMEND, json=body)).json()["recommendations"]
    assert found["attention"] == {
        "axes": ["items"],
        "sources": [{"item": 10, "position": 0}, {"item": 11, "position": 2}],
        "weights": [0.01, 0.02],
    }


@pytest.mark.parametrize(
    ("path", "body", "slug", "field"),
    [
        *(
            (path, body, slug, field)
            for path in (CLASSIFY, TAG)
            for body, slug, field in [
                ({"text": ""}, "empty-text", "text"),
                ({"text": ["Anna", " \n"]}, "empty-text", "text.1"),
                ({"text": []}, "invalid-request", "text"),
                ({"text": 5}, "invalid-request", "text"),
                ({"text": ["a", None]}, "invalid-request", "text.1"),
                ({"text": ["a"] * 21}, "invalid-request", "text"),
                ({"text": "good " * 13}, "input-too-long", "text"),
                ({"text": ["a", "x" * 20_001]}, "input-too-long", "text.1"),
                ({"text": "a", "model": "echo"}, "unknown-model", "model"),
                ({"text": "a", "truncate": 1}, "invalid-request", "truncate"),
                ({"text": "a", "labels": True}, "invalid-request", "labels"),
                ({}, "invalid-request", "text"),
                ([], "invalid-request", "body"),
            ]
        ),
        (CLASSIFY, {"text": "a", "top_k": 0}, "invalid-request", "top_k"),
        (CLASSIFY, {"text": "a", "top_k": True}, "invalid-request", "top_k"),
        (CLASSIFY, {"text": ["a"] * 4, "explain": True}, "invalid-request", "explain"),
        (TAG, {"text": "Go on! " * 31}, "too-many-sentences", "text"),
        (RECOMMEND, {"session": 5}, "invalid-request", "session"),
        (RECOMMEND, {"session": "10"}, "invalid-request", "session"),
        (RECOMMEND, {"session": [10, [11]]}, "invalid-request", "session.1"),
        (RECOMMEND, {"session": [[10], 11]}, "invalid-request", "session.1"),
        (RECOMMEND, {"session": [True]}, "invalid-request", "session.0"),
        (RECOMMEND, {"session": [1.0]}, "invalid-request", "session.0"),
        (RECOMMEND, {"session": [[None]]}, "invalid-request", "session.0.0"),
        (RECOMMEND, {"session": [[10]] * 21}, "invalid-request", "session"),
        (RECOMMEND, {"session": [10], "top_k": 101}, "invalid-request", "top_k"),
        (RECOMMEND, {"session": [10], "top_k": "5"}, "invalid-request", "top_k"),
        (RECOMMEND, {"session": [10], "candidates": []}, "invalid-request", "candidates"),
        (RECOMMEND, {"session": [10], "candidates": list(ITEMS[:41])}, "invalid-request", "candidates"),
        (RECOMMEND, {"session": [10], "exclude": [None]}, "invalid-request", "exclude.0"),
        (RECOMMEND, {"session": [10], "exclude": list(ITEMS[:41])}, "invalid-request", "exclude"),
        (RECOMMEND, {"session": [10], "model": "rater"}, "unknown-model", "model"),
        (RECOMMEND, {}, "invalid-request", "session"),
    ],
)
async def test_what_is_not_acceptable_is_refused_with_the_field(
    client: httpx.AsyncClient, path: str, body: Any, slug: str, field: str
) -> None:
    check_problem(await client.post(path, json=body), slug, field)


@PATHS
async def test_a_deadline_that_passes_frees_what_was_asked(
    client: httpx.AsyncClient, catalogue: Catalogue, path: str
) -> None:
    engine = engine_of(catalogue, path)
    engine.hold()
    response = await client.post(path, json=BODIES[path], headers={"X-Request-Timeout": "0.05"})
    check_problem(response, "deadline-exceeded")
    assert [ticket.future.cancelled() for ticket in engine.tickets] == [True]


async def test_an_explanation_that_nobody_waits_for_is_given_up(
    client: httpx.AsyncClient, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = engine_of(catalogue, CLASSIFY)
    asked: list[int] = []
    going_on = threading.Event()

    def explain(inputs: Mapping[str, Array]) -> dict[str, Array]:
        asked.append(1)
        going_on.wait(5)
        return FakeOneShotEngine.explain(engine, inputs)

    monkeypatch.setattr(engine, "explain", explain)
    body = {"text": ["good"] * 3, "explain": True}
    check_problem(await client.post(CLASSIFY, json=body, headers={"X-Request-Timeout": "0.1"}), "deadline-exceeded")
    going_on.set()
    after = await client.post(CLASSIFY, json={"text": "good", "explain": True})
    assert (after.status_code, len(asked)) == (200, 2)


@PATHS
@pytest.mark.parametrize(
    ("error", "slug"),
    [
        (QueueFullError(), "queue-full"),
        (EngineFailedError("a run failed"), "engine-failed"),
        (KeyError("x"), "internal-error"),
    ],
)
async def test_what_the_engine_refuses_has_a_status(
    client: httpx.AsyncClient, catalogue: Catalogue, path: str, error: Exception, slug: str
) -> None:
    engine_of(catalogue, path).error = error
    check_problem(await client.post(path, json=BODIES[path]), slug)


@PATHS
async def test_a_list_that_does_not_fit_is_not_begun(
    client: httpx.AsyncClient, catalogue: Catalogue, path: str
) -> None:
    engine = engine_of(catalogue, path)
    engine.max_queue = 2
    body = {name: [value] * 3 for name, value in BODIES[path].items()}
    problem = check_problem(await client.post(path, json=body), "queue-full")
    assert "no room for 3, but for 2: send fewer" in problem["detail"]
    # What never fits is told so, however much room there is.
    body = {name: [value] * 31 for name, value in BODIES[path].items()}
    assert (await client.post(path, json=body)).status_code == 422
    assert not engine.tickets


async def test_a_full_queue_keeps_nobody_from_another_model(client: httpx.AsyncClient, catalogue: Catalogue) -> None:
    engine_of(catalogue, CLASSIFY).max_queue = 0
    check_problem(await client.post(CLASSIFY, json={"text": "good"}), "queue-full")
    assert (await client.post(CLASSIFY, json={"text": "good", "model": "reader"})).status_code == 200


@PATHS
async def test_the_items_of_a_list_are_a_group(client: httpx.AsyncClient, catalogue: Catalogue, path: str) -> None:
    body = {name: [value] * 3 for name, value in BODIES[path].items()}
    for _ in range(2):
        assert (await client.post(path, json=body)).status_code == 200
    groups = [request.group for request in engine_of(catalogue, path).seen]
    assert len(set(groups)) == 2
    assert groups[:3] == groups[:1] * 3
    assert 0 not in groups


@PATHS
async def test_long_lists_are_worked_on_beside_the_event_loop(
    client: httpx.AsyncClient, catalogue: Catalogue, path: str
) -> None:
    long: dict[str, Any] = {
        CLASSIFY: {"text": "good film " * 250},
        TAG: {"text": "Anna. " * 400},
        RECOMMEND: {"session": [10] * 2500},
        ANSWER: {"story": TOLD * 200, "question": "Where is John?"},
    }[path]
    options = {} if path == RECOMMEND else {"truncate": True}
    lists = {name: [long[name], value, long[name]] for name, value in BODIES[path].items()}
    response = await client.post(path, json={**lists, **options})
    if path == TAG:
        check_problem(response, "too-many-sentences", "text")
        return
    (alone,) = list((await client.post(path, json=BODIES[path])).json().values())[-1]
    first, second, third = list(response.json().values())[-1]
    assert first["truncated"]
    assert (first, second) == (third, alone)


async def test_models_say_what_they_are(client: httpx.AsyncClient) -> None:
    listed = {model["name"]: model for model in (await client.get("/v1/models")).json()["models"]}
    assert [(name, model["task"], model["default"]) for name, model in listed.items()] == [
        ("echo", "translate", True),
        ("mute", "translate", False),
        ("rater", "classify", True),
        ("reader", "classify", False),
        ("marker", "tag", True),
        ("follower", "recommend", True),
        ("teller", "answer", True),
    ]
    rater = listed["rater"]
    assert (rater["precision"], rater["provider"], rater["language"], rater["explains"]) == ("fp32", "cpu", "en", True)
    assert rater["scores"][0] == {
        "metric": "guess", "value": 50.0, "data": "none", "split": "dev", "precision": "fp32", "note": "",
    }  # fmt: skip
    assert (rater["licence"]["terms"], rater["limits"]) == ("none", {"source": 12})
    assert "source_language" not in rater
    details = (await client.get("/v1/models/rater")).json()
    assert details["labels"] == ["bad", "good", "neither"]
    assert {"slots", "decoding"}.isdisjoint(details)
    assert (await client.get("/v1/models/marker")).json()["labels"] == ["LOC", "PER"]
    assert (await client.get("/v1/models/teller")).json()["answers"] == ["kitchen", "garden", "nowhere"]
    assert (await client.get("/v1/models/echo")).json()["slots"] == 8


@PATHS
async def test_requests_are_counted_by_task_and_model(
    client: httpx.AsyncClient, catalogue: Catalogue, path: str
) -> None:
    task = path.removeprefix("/v1/")
    name = NAMES[path]

    async def figures() -> list[float]:
        text = (await client.get("/metrics")).text
        return [
            sample(text, "seqserve_request_duration_seconds_count", task=task, model=name, outcome="ok"),
            sample(text, "seqserve_preprocess_duration_seconds_count", task=task, model=name),
            sample(text, "seqserve_postprocess_duration_seconds_count", task=task, model=name),
            sample(text, "seqserve_tokens_total", model=name, direction="input"),
        ]

    before = await figures()
    assert (await client.post(path, json=BODIES[path])).status_code == 200
    tokens = {CLASSIFY: 6, TAG: 4, RECOMMEND: 2, ANSWER: 13}[path]
    assert [b - a for a, b in zip(before, await figures(), strict=True)] == [1, 1, 1, tokens]
    engine = engine_of(catalogue, path)
    engine.hold()
    waiting = asyncio.create_task(client.post(path, json=BODIES[path]))
    await until(lambda: len(engine.seen) == 2)
    text = (await client.get("/metrics")).text
    assert sample(text, "seqserve_queue_depth", model=name) == 1
    assert sample(text, "seqserve_model_info", model=name, task=task, precision="fp32") == 1
    engine.release()
    assert (await waiting).status_code == 200


async def test_requests_of_all_tasks_at_once_get_what_each_alone_gets(client: httpx.AsyncClient) -> None:
    bodies: list[tuple[str, dict[str, Any]]] = []
    for number in range(50):
        bodies += [
            (CLASSIFY, {"text": ["good " * (number % 5) + "bad " * (number % 3) + "film"] * (1 + number % 2)}),
            (TAG, {"text": "Anna Smith. " * (number % 4) + "In Berlin!"}),
            (RECOMMEND, {"session": [10 + number, 20 + number], "top_k": 1 + number % 7}),
            (TRANSLATE, {"text": "Two dogs! " * (1 + number % 3), "beam_size": 1 + number % 2}),
            (ANSWER, {"story": TOLD[number % 2 :] * 2, "question": "Where is John?", "top_k": 1 + number % 3}),
        ]
    alone = [(await client.post(path, json=body)).json() for path, body in bodies]
    together = await asyncio.gather(*(client.post(path, json=body) for path, body in bodies))
    assert [reply.status_code for reply in together] == [200] * 250
    assert [reply.json() for reply in together] == alone
    assert len({json.dumps(reply) for reply in alone}) > 60


async def test_examples_of_the_description_are_answered(client: httpx.AsyncClient) -> None:
    schemas = (await client.get("/v1/openapi.json")).json()["components"]["schemas"]
    for path in BODIES:
        name = f"{path.removeprefix('/v1/').capitalize()}Request"
        fields = schemas[name]["properties"]
        assert schemas[name]["additionalProperties"] is False
        body = {key: field["examples"][0] for key, field in fields.items() if "examples" in field and key != "model"}
        assert body
        if "truncate" in fields:
            body["truncate"] = True  # the models of the tests read less than those that ship
        assert (await client.post(path, json=body)).status_code == 200
