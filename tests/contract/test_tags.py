from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.tags import FORBIDDEN, Entity, TagSet, spans

TAGS = TagSet.of_labels(["LOC", "PER"])
OUT, B_LOC, I_LOC, B_PER, I_PER = range(5)


def emissions(*tags: int, strength: float = 9.0) -> np.ndarray:
    return np.eye(5, dtype=np.float32)[list(tags)] * strength


def test_tags_are_outside_and_two_for_each_label() -> None:
    assert TAGS.tags == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert TAGS.labels == ("LOC", "PER")


@given(st.lists(st.lists(st.floats(-20, 20, width=32), min_size=5, max_size=5), min_size=1, max_size=8))
def test_no_path_breaks_the_rules_of_bio(rows: list[list[float]]) -> None:
    path, sureness = TAGS.decode(np.array(rows, np.float32))
    before = "O"
    for tag in (TAGS.tags[index] for index in path):
        assert not tag.startswith("I-") or before in (f"B-{tag[2:]}", tag)
        before = tag
    assert sureness.min() >= 0
    assert sureness.max() <= 1


def test_scores_given_for_what_is_forbidden_do_not_count() -> None:
    lenient = TagSet(TAGS.tags, np.full(5, 3.0), np.full((5, 5), 3.0), np.zeros(5))
    assert lenient.start.tolist() == [3, 3, FORBIDDEN, 3, FORBIDDEN]
    assert lenient.transitions[B_LOC].tolist() == [3, 3, 3, 3, FORBIDDEN]
    assert lenient.transitions[OUT].tolist() == [3, 3, FORBIDDEN, 3, FORBIDDEN]


def test_transitions_decide_where_emissions_do_not() -> None:
    transitions = np.zeros((5, 5))
    transitions[B_PER, I_PER] = 5
    learnt = TagSet(TAGS.tags, np.zeros(5), transitions, np.zeros(5))
    undecided = np.array([[0, 0, 0, 9, 0], [1, 0, 0, 0, 0]], np.float32)
    assert TAGS.decode(undecided)[0] == [B_PER, OUT]
    assert learnt.decode(undecided)[0] == [B_PER, I_PER]


def test_entities_carry_label_characters_and_the_mean_of_their_marginals() -> None:
    text = "Ada 🙂 went to New Elm"
    offsets = [(0, 3), (4, 5), (6, 10), (11, 13), (14, 17), (18, 21)]
    scores = emissions(B_PER, OUT, OUT, OUT, B_LOC, I_LOC)
    person, place = TAGS.entities(scores, text, offsets)
    assert (person.label, person.start, person.end, person.text) == ("PER", 0, 3, "Ada")
    assert (place.label, place.start, place.end, place.text) == ("LOC", 14, 21, "New Elm")
    path, sureness = TAGS.decode(scores)
    assert path == [B_PER, OUT, OUT, OUT, B_LOC, I_LOC]
    assert place.score == pytest.approx(sureness[4:].mean())
    assert person.score == pytest.approx(sureness[0])
    assert 0.99 < person.score < 1


def test_neighbours_of_one_label_are_two_entities() -> None:
    found = TAGS.entities(emissions(B_LOC, B_LOC, I_LOC), "北京上海", [(0, 1), (2, 3), (3, 4)])
    assert [(entity.start, entity.end, entity.text) for entity in found] == [(0, 1, "北"), (2, 4, "上海")]
    assert all(isinstance(entity, Entity) for entity in found)


def test_a_text_without_words_has_no_entities() -> None:
    assert TAGS.entities(np.zeros((0, 5), np.float32), "  ", []) == []


@given(st.lists(st.sampled_from(["O", "B-A", "B-B", "go on"])))
def test_spans_are_what_the_tags_were_made_of(plan: list[str]) -> None:
    tags: list[str] = []
    expected: list[list[object]] = []
    for index, tag in enumerate(plan):
        if tag != "go on":
            tags.append(tag)
            if tag != "O":
                expected.append([tag[2:], index, index + 1])
        elif tags and tags[-1] != "O":
            tags.append(f"I-{tags[-1][2:]}")
            expected[-1][2] = index + 1
        else:
            tags.append("O")
    assert spans(tags) == [tuple(span) for span in expected]


def test_a_file_holds_tags_and_scores(tmp_path: Path) -> None:
    scores = np.arange(25.0).reshape(5, 5) / 8
    saved = TagSet(TAGS.tags, scores[0], scores, scores[1])
    saved.save(tmp_path / "tags.json")
    loaded = TagSet.load(tmp_path / "tags.json")
    assert loaded.tags == saved.tags
    for name in ("start", "transitions", "end"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(saved, name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"tags": ["O", "B-A"]},
            r"tags\.json: not a set of tags \(tags must be O and, for each label, B-label and I-",
        ),
        ({"tags": ["O", "B-A", "I-A", "S-A", "E-A"]}, "not a set of tags"),
        ({"start": [0, 0]}, r"3 tags have scores \[3\], \[3, 3\] and \[3\], not \[\(2,\)"),
        ({"end": None}, "not a set of tags"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "tags.json"
    TagSet.of_labels(["A"]).save(path)
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(ValueError, match=message):
        TagSet.load(path)
