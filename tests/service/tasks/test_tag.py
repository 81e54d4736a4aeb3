"""What stands before and after a model that tags, without a model and without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.tasks.errors import EmptyTextError, TextTooLongError
from service.tasks.tag import Options, Tagger
from tests.service.one_shot_fakes import SOURCE_LIMIT, tagger
from tests.service.tasks.asking import answer


@pytest.fixture(scope="module")
def marker(tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    return tagger(tmp_path_factory.mktemp("marker")).task


def entities(marker: Tagger, text: str) -> list[tuple[str, str, int, int]]:
    found = answer(marker, text, Options()).entities
    return [(entity.text, entity.label, entity.start, entity.end) for entity in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Anna Smith likes Berlin.", [("Anna Smith", "PER", 0, 10), ("Berlin", "LOC", 17, 23)]),
        ("  Nobody.\n\nSan  Marino!", [("San  Marino", "LOC", 11, 22)]),
        ("Anna. San Marino. Berlin!", [("Anna", "PER", 0, 4), ("San Marino", "LOC", 6, 16), ("Berlin", "LOC", 18, 24)]),
        ("我爱柏林。", [("柏林", "LOC", 2, 4)]),
        ("👩‍🔬 met 🙂 in Berlin", [("🙂", "PER", 8, 9), ("Berlin", "LOC", 13, 19)]),
        ("nothing here", []),
    ],
)
def test_entities_stand_where_they_are_in_the_text(
    marker: Tagger, text: str, expected: list[tuple[str, str, int, int]]
) -> None:
    assert entities(marker, text) == expected
    assert [text[start:end] for _, _, start, end in expected] == [word for word, _, _, _ in expected]


PIECES = st.sampled_from(
    ["Anna", "Smith", "Berlin", "柏林", "🙂", "x", ".", "!", " ", "  ", "\n\n", "\xa0", "e\u0301", "”"]
)


@given(st.lists(PIECES, min_size=1, max_size=SOURCE_LIMIT // 2).map("".join).filter(str.strip))
def test_offsets_always_cover_the_text_of_an_entity(marker: Tagger, text: str) -> None:
    reached = 0
    for word, _, start, end in entities(marker, text):
        assert reached <= start < end <= len(text)
        assert text[start:end] == word == word.strip()
        reached = end


def test_each_sentence_is_a_row(marker: Tagger) -> None:
    work = marker.read("Anna Smith. In Berlin!", Options(), "text")
    requests = work.requests(2.5, 4)
    assert [(r.deadline, r.group, r.inputs["source_lengths"].tolist()) for r in requests] == [(2.5, 4, 3), (2.5, 4, 3)]
    assert (work.rows, work.size, work.explains) == (2, 6, False)


@pytest.mark.parametrize("text", ["", " \n"])
def test_there_must_be_something_to_tag(marker: Tagger, text: str) -> None:
    with pytest.raises(EmptyTextError) as caught:
        marker.read(text, Options(), "text.1")
    assert caught.value.field == "text.1"


def test_a_sentence_that_is_too_long_is_refused_or_cut(marker: Tagger) -> None:
    text = "Berlin. " + "Anna Smith " * 7
    message = r"a sentence \(from character 8\) has 14 words, the limit of model 'marker' is 12: shorten it, or set"
    with pytest.raises(TextTooLongError, match=message):
        marker.read(text, Options(), "text")
    found = answer(marker, text, Options(truncate=True))
    assert found.truncated
    assert [entity.text for entity in found.entities] == ["Berlin", *["Anna Smith"] * 6]


def test_a_long_text_of_short_sentences_is_not_too_long(marker: Tagger) -> None:
    assert len(entities(marker, "Anna Smith is in Berlin. " * 20)) == 40
