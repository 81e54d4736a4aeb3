"""What stands before and after a model that classifies, without a model and without a server."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.runtime.errors import NoAttentionError
from service.tasks.classify import Classifier, Options
from service.tasks.errors import EmptyTextError, TextTooLongError
from service.tasks.limits import RequestLimits
from tests.service.one_shot_fakes import LABELS, SENTENCE_LIMIT, SOURCE_LIMIT, classifier
from tests.service.tasks.asking import answer


@pytest.fixture
def rater(tmp_path: Path) -> Classifier:
    return classifier(tmp_path, "attention", "hops", "pairs", limits=RequestLimits(200, 10)).task


@pytest.fixture
def reader(tmp_path: Path) -> Classifier:
    return classifier(tmp_path, "words", "sentences", documents=True).task


def test_labels_come_with_their_probabilities_the_best_first(rater: Classifier) -> None:
    found = answer(rater, "a good good film, not bad", Options())
    assert [each.label for each in found.labels] == ["good", "bad", "neither"]
    expected = np.exp([2, 1, 0.5]) / np.exp([2, 1, 0.5]).sum()
    assert [each.score for each in found.labels] == pytest.approx(expected)
    assert (found.truncated, found.attention) == (False, None)


@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (2, 2), (9, 3)])
def test_so_many_labels_come_as_are_asked_for(rater: Classifier, top_k: int, count: int) -> None:
    assert len(answer(rater, "bad", Options(top_k=top_k)).labels) == count


@given(st.lists(st.floats(-50, 1e-6), min_size=3, max_size=3))
def test_scores_are_probabilities(log_probabilities: list[float]) -> None:
    ranked = Classifier.rank(_Labelled(), log_probabilities, 3)  # type: ignore[arg-type]
    assert sorted((each.score for each in ranked), reverse=True) == [each.score for each in ranked]
    assert all(0 <= each.score <= 1 for each in ranked)
    assert ranked[0].label == LABELS[max(range(3), key=log_probabilities.__getitem__)]
    assert ranked[0].score == min(1, math.exp(max(log_probabilities)))


class _Labelled:
    labels = LABELS


def test_a_text_is_a_row_of_ids(rater: Classifier) -> None:
    (request,) = rater.read("A film.", Options(), "text").requests(4.5, 3)
    assert (request.deadline, request.group) == (4.5, 3)
    assert request.inputs["source_ids"].tolist() == [2, 1, 6, 7, 3]
    assert request.inputs["source_lengths"].tolist() == 5


def test_a_document_is_a_row_of_sentences(reader: Classifier) -> None:
    work = reader.read("Good film. Bad.", Options(), "text")
    (request,) = work.requests(None, 0)
    assert request.inputs["word_ids"].tolist() == [[4, 6, 7], [5, 7, 0]]
    assert request.inputs["word_counts"].tolist() == [3, 2]
    assert request.inputs["sentence_counts"].tolist() == 2
    assert work.size == 5


@pytest.mark.parametrize("text", ["", " ", "\n\t \xa0\u2028"])
def test_there_must_be_something_to_classify(rater: Classifier, text: str) -> None:
    with pytest.raises(EmptyTextError) as caught:
        rater.read(text, Options(), "text.3")
    assert caught.value.field == "text.3"


def test_a_text_that_is_too_long_is_refused_or_cut(rater: Classifier) -> None:
    text = "good " * 30
    with pytest.raises(
        TextTooLongError, match=r"32 tokens, the limit of model 'rater' is 12: shorten the text, or set"
    ):
        rater.read(text, Options(), "text")
    work = rater.read(text, Options(truncate=True), "text")
    assert work.inputs["source_ids"].tolist() == [2, *[4] * (SOURCE_LIMIT - 2), 3]
    assert answer(rater, text, Options(truncate=True)).truncated


def test_a_document_of_too_many_sentences_is_refused_or_cut(reader: Classifier) -> None:
    text = "Good. Bad. Film. Good. Bad."
    with pytest.raises(TextTooLongError, match="5 sentences, the limit of model 'reader' is 3"):
        reader.read(text, Options(), "text")
    work = reader.read(text, Options(truncate=True), "text")
    assert len(work.inputs["word_ids"]) == SENTENCE_LIMIT
    assert work.truncated


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("x" * 201, Options(truncate=True), "201 characters, the limit is 200"),
        ("good " * 9, Options(explain=True), "11 tokens to explain, the limit is 10"),
    ],
)
def test_too_much_is_refused_whatever_the_model(rater: Classifier, text: str, options: Options, message: str) -> None:
    with pytest.raises(TextTooLongError, match=message):
        rater.read(text, options, "text")


def test_a_model_without_attention_does_not_explain(tmp_path: Path) -> None:
    with pytest.raises(NoAttentionError, match="'rater' has no attention"):
        classifier(tmp_path).task.read("good", Options(explain=True), "text")


def test_maps_speak_of_the_text_that_was_sent(rater: Classifier) -> None:
    text = "  🙂 Good  film."
    maps = answer(rater, text, Options(explain=True)).attention
    assert maps is not None
    for found in maps:
        assert [(s.text, s.start, s.end) for s in found.sources] == [
            ("[CLS]", 0, 0),
            ("🙂", 2, 3),
            ("Good", 4, 8),
            ("film", 10, 14),
            (".", 14, 15),
            ("[SEP]", 15, 15),
        ]
    pooled, hops, pairs = maps
    assert (pooled.name, pooled.axes, pooled.targets) == ("attention", ("source",), None)
    assert pooled.weights == [0.01, 0.02, 0.03, 0.04, 0.05, 0.06]
    assert (hops.axes, hops.targets, np.shape(hops.weights)) == (("hops", "source"), None, (2, 6))
    assert (pairs.axes, np.shape(pairs.weights)) == (("target", "source"), (6, 6))
    assert pairs.targets == [source.text for source in pairs.sources]


def test_a_document_is_explained_at_both_levels(reader: Classifier) -> None:
    text = "Good film. \n Bad."
    words, sentences = answer(reader, text, Options(explain=True)).attention or ()
    assert (words.axes, words.targets) == (("sentences", "words"), ["Good film.", "Bad."])
    assert [text[s.start : s.end] for s in words.sources] == ["Good", "film", ".", "Bad", "."]
    assert words.weights == [[0.01, 0.02, 0.03, 0.0, 0.0], [0.0, 0.0, 0.0, 0.04, 0.05]]
    assert (sentences.axes, sentences.targets, sentences.weights) == (("sentences",), None, [0.01, 0.02])
    assert [(s.text, s.start, s.end) for s in sentences.sources] == [("Good film.", 0, 10), ("Bad.", 13, 17)]
