"""What is asked, and what is found wrong with replies: nothing here is sent."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from loadtest.pictures import make_photograph
from loadtest.traffic.material import SAMPLES, MaterialError, Story, load_material
from loadtest.traffic.memory import Memory
from loadtest.traffic.mix import ASKERS, SHARES, Mix, MixError, read_shares
from loadtest.traffic.question import Question, ask_json
from loadtest.traffic.sessions import wrong_items
from loadtest.traffic.stories import wrong_answer
from loadtest.traffic.texts import wrong_entities, wrong_prediction, wrong_stream, wrong_text
from loadtest.traffic.tunes import wrong_midi

LIMITS: dict[str, dict[str, int]] = {task: {"sentences": 50} for task in ASKERS}
PROBLEM = b'{"type": "urn:seqserve:problem:queue-full"}'


def labels(*scores: float) -> dict[str, Any]:
    return {"label": "a", "labels": [{"label": name, "score": s} for name, s in zip("abc", scores, strict=False)]}


def answers(*scores: float, **more: Any) -> dict[str, Any]:
    return {"text": "a", "answers": [{"text": n, "score": s} for n, s in zip("abc", scores, strict=False)], **more}


def entity(text: str, start: int, end: int) -> dict[str, Any]:
    return {"entities": [{"text": text, "start": start, "end": end}]}


def items(*found: tuple[int, float]) -> dict[str, Any]:
    return {"items": [{"item": item, "score": score} for item, score in found]}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (wrong_text({"text": "", "score": -1.0}), "an empty text"),
        (wrong_text({"text": "a", "score": 0.5}), "a score above 0"),
        (wrong_text({"text": "a", "score": -1.0}), None),
        (wrong_prediction(labels(0.1, 0.9)), "labels in no order"),
        (wrong_prediction({**labels(0.9, 0.1), "label": "b"}), "labels in no order"),
        (wrong_prediction(labels(1.9, 0.1)), "no probabilities"),
        (wrong_prediction(labels(0.9, 0.1)), None),
        (wrong_entities(entity("Anna", 0, 5), "Anna "), "an entity that is not in"),
        (wrong_entities(entity("Anna", 1, 5), "Anna "), "an entity that is not in"),
        (wrong_entities(entity("Anna", 0, 4), "Anna "), None),
        (wrong_items(items((5, 2.0), (5, 1.0)), 9), "an item twice"),
        (wrong_items(items((5, 2.0), (6, 1.0)), 1), "more items than asked for"),
        (wrong_items(items((5, 1.0), (6, 2.0)), 2), "items in no order"),
        (wrong_items(items((5, 2.0), (6, 1.0)), 2), None),
        (wrong_midi(200, b"RIFF"), "status 200"),
        (wrong_midi(422, b"{type: invalid-prompt}"), "status 422"),
        (wrong_midi(422, b"{type: invalid-tune}"), None),
        (wrong_midi(200, b"MThd"), None),
        (wrong_answer(answers(0.1, 0.9), False), "answers in no order"),
        (wrong_answer(answers(1.1), False), "no probabilities"),
        (wrong_answer({**answers(0.9), "text": "b"}, False), "not the best one"),
        (wrong_answer(answers(0.9), True), "how much of the story"),
        (wrong_answer(answers(0.9, truncated=True), True), None),
    ],
)
def test_results_are_judged(found: str | None, said: str | None) -> None:
    assert found is None if said is None else said in (found or "")


def test_the_pieces_of_a_stream_add_up_to_its_text() -> None:
    def stream(*pieces: str, text: str) -> bytes:
        tokens = "".join(f"event: token\ndata: {json.dumps({'text': piece})}\n\n" for piece in pieces)
        done = json.dumps({"translations": [{"text": text, "score": -1.0}]})
        return f"{tokens}event: done\ndata: {done}\n\n".encode()

    assert wrong_stream(200, stream("Ein", " Hund", text="Ein Hund"), wrong_text) is None
    assert "pieces ['Ein'] of 'Ein Hund'" in str(wrong_stream(200, stream("Ein", text="Ein Hund"), wrong_text))
    assert "an empty text" in str(wrong_stream(200, stream(text=""), wrong_text))
    assert wrong_stream(200, b'event: token\ndata: {"text": "a"}\n\n', wrong_text) == "a stream without an end"
    assert "status 500" in str(wrong_stream(500, b"", wrong_text))


def test_replies_are_counted_and_refusals_must_say_when_to_come_again() -> None:
    question = ask_json("tag", "/v1/tag", {"text": ["a", "b"]}, "found", [lambda _: None, lambda f: f.get("wrong")])
    assert question.judge(200, b'{"found": [{}, {}]}', {}) == ("answered", None)
    assert question.judge(200, b'{"found": [{}]}', {}) == ("failed", "1 found where 2 were asked for")
    assert question.judge(200, b'{"found": [{}, {"wrong": "so"}]}', {}) == ("failed", "so")
    assert question.judge(200, b"{}", {}) == ("failed", "a reply of another form: KeyError('found')")
    assert question.judge(200, b"no", {})[0] == "failed"
    assert question.judge(422, PROBLEM, {}) == ("failed", "status 422 (queue-full)")
    assert question.judge(500, b"oh", {}) == ("failed", "status 500: oh")
    assert question.judge(429, PROBLEM, {"Retry-After": "1"}) == ("refused", None)
    assert question.judge(429, PROBLEM, {})[0] == "failed"
    assert question.judge(429, b"{}", {"retry-after": "1"})[0] == "failed"


def test_the_same_question_has_the_same_answer() -> None:
    memory = Memory(tolerance=0.01)
    assert memory.differs("q", "Hund", -0.5) is None
    assert memory.differs("q", "Hund", -0.505) is None
    assert memory.differs("q", "Katze", -0.5) is None, "of two equally good ones, either"
    assert memory.differs("q", "Katze", -0.8) == "'Katze' (-0.8000) where it was 'Hund' (-0.5000) before"
    assert memory.differs("another", "Katze", -0.8) is None


def test_everybody_comes_in_their_shares_and_the_same_seed_asks_the_same() -> None:
    material = load_material(None)
    drawn = [[mix.draw() for _ in range(2000)] for mix in (Mix(SHARES, LIMITS, material, Memory()) for _ in range(2))]
    assert [question.content for question in drawn[0]] == [question.content for question in drawn[1]]
    counts = Counter(question.task for question in drawn[0])
    for task, share in SHARES.items():
        assert counts[task] / 2000 == pytest.approx(share / sum(SHARES.values()), abs=0.03)
    assert {question.path for question in drawn[0] if question.task == "translate"} == {
        "/v1/translate",
        "/v1/translate/stream",
    }


def test_another_answer_than_before_is_found_whoever_asks() -> None:
    mix = Mix({"classify": 1}, LIMITS, load_material(None), Memory())
    seen: dict[str, Question] = {}
    while True:
        question = mix.draw()
        texts = json.loads(question.content)["text"]
        if len(texts) == 1 and texts[0] in seen:
            break
        seen[texts[0]] = question

    def reply(score: float) -> bytes:
        best = {"label": "a", "score": score}
        return json.dumps({"predictions": [{**best, "labels": [best]}]}).encode()

    assert seen[texts[0]].judge(200, reply(0.9), {}) == ("answered", None)
    assert question.judge(200, reply(0.6), {}) == ("failed", "'a' (0.6000) where it was 'a' (0.9000) before")


def test_shares_are_read_and_nonsense_is_refused() -> None:
    assert read_shares("translate=3, classify") == {"translate": 3, "classify": 1}
    with pytest.raises(MixError, match="'fly' is none of translate, classify"):
        read_shares("fly=1")
    with pytest.raises(MixError, match="a share is a whole number above 0"):
        read_shares("tag=0")
    with pytest.raises(MixError, match=r"nothing is served for tag: leave it out of --mix"):
        Mix({"tag": 1}, {"classify": {}}, load_material(None), Memory())
    with pytest.raises(MixError, match=r"nothing is served for any of translate, classify, .* asks for anything else"):
        Mix({}, {"upscale": {}}, load_material(None), Memory())


def test_material_of_a_folder_takes_the_place_of_the_samples(tmp_path: Path) -> None:
    (tmp_path / "classify.txt").write_text("Gut.\n\nSchlecht.\n", encoding="utf-8")
    (tmp_path / "recommend.txt").write_text("12 7 blue-shirt\n", encoding="utf-8")
    (tmp_path / "answer.jsonl").write_text('{"story": ["A b."], "question": "C?"}\n', encoding="utf-8")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_bytes(make_photograph(1, 64, 48))
    material = load_material(tmp_path)
    assert material.classify == ["Gut.", "Schlecht."]
    assert material.sessions == [[12, 7, "blue-shirt"]]
    assert material.stories == [Story(["A b."], "C?")]
    assert set(material.pictures) == {make_photograph(1, 64, 48)}
    assert material.translate == (SAMPLES / "translate.txt").read_text("utf-8").splitlines()
    for asker in (ASKERS["recommend"], ASKERS["answer"]):
        drawn = asker(material, Memory(), Random(1), {"sentences": 50})  # noqa: S311  # traffic, not secrets
        assert any(b"blue-shirt" in q.content or b"C?" in q.content for q in (drawn.draw() for _ in range(20)))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("answer.jsonl", '{"story": ["A."]}', r"answer\.jsonl, line 1: KeyError\('question'\)"),
        ("generate.jsonl", "7", "7 is no JSON string"),
        ("tag.txt", "\n", r"tag\.txt is empty"),
        ("notes.txt", "a", "holds nothing to ask about"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(MaterialError, match=said):
        load_material(tmp_path)
    with pytest.raises(MaterialError, match="is no folder"):
        load_material(tmp_path / "nowhere")
