"""What stands before and after a model that answers questions, without a model and without a server."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.runtime.errors import NoAttentionError
from service.tasks.answer import MOST_SENTENCES, Answerer, Asked, Options
from service.tasks.errors import EmptyStoryError, TaskRefusalError, TextTooLongError, UnknownWordsError
from service.tasks.limits import RequestLimits
from service.tasks.ranking import most_probable
from tests.service.one_shot_fakes import SENTENCE_LIMIT, answerer
from tests.service.tasks.asking import answer

STORY = ("Mary went to the kitchen.", "John moved to the garden.")


@pytest.fixture
def teller(tmp_path: Path) -> Answerer:
    return answerer(tmp_path, limits=RequestLimits(characters=100)).task


def asked(*story: str, question: str = "Where is Mary?", place: str = "story") -> Asked:
    return Asked(story, question, place)


def test_answers_come_with_their_probabilities_the_best_first(teller: Answerer) -> None:
    found = answer(teller, asked(*STORY), Options(top_k=2))
    assert [each.text for each in found.answers] == ["kitchen", "garden"]
    expected = np.exp([3, 0]) / (np.exp(3) + 2)
    assert [each.score for each in found.answers] == pytest.approx(expected)
    assert (found.truncated, found.attention) == (False, None)


@given(st.lists(st.floats(-50, 1e-6), min_size=1, max_size=6), st.integers(1, 8))
def test_the_most_probable_come_first(log_probabilities: list[float], top_k: int) -> None:
    best = most_probable(log_probabilities, top_k)
    assert len(best) == min(top_k, len(log_probabilities))
    assert [score for _, score in best] == sorted((score for _, score in best), reverse=True)
    assert all(score == min(1, math.exp(log_probabilities[place])) for place, score in best)
    assert best[0][1] == min(1, math.exp(max(log_probabilities)))


def test_a_story_and_a_question_are_a_row(teller: Answerer) -> None:
    work = teller.read(asked(*STORY, question="Mary?"), Options(), "question")
    (request,) = work.requests(4.5, 3)
    assert (request.deadline, request.group, work.size) == (4.5, 3, 11)
    assert request.inputs["word_ids"].tolist() == [[5, 7, 9, 10, 2], [6, 8, 9, 10, 3]]
    assert request.inputs["word_counts"].tolist() == [5, 5]
    assert request.inputs["sentence_counts"].tolist() == 2
    assert request.inputs["question_ids"].tolist() == [5]
    assert request.inputs["question_lengths"].tolist() == 1


def test_the_last_sentences_are_read_and_the_others_may_say_anything(teller: Answerer) -> None:
    story = ("Zebras!", "", STORY[0], STORY[1], STORY[1])
    found = answer(teller, asked(*story), Options(explain=True))
    assert found.truncated
    assert found.answers[0].text == "kitchen"
    assert found.attention is not None
    assert found.attention.sentences == list(story[-SENTENCE_LIMIT:])
    assert found.attention.positions == [2, 3, 4]
    assert found.attention.weights == [[0.01, 0.02, 0.03], [0.04, 0.05, 0.06]]
    with pytest.raises(TextTooLongError, match=r"5 sentences, model 'teller' reads the last 3: shorten the story, or"):
        teller.read(asked(*story), Options(truncate=False), "question")


@pytest.mark.parametrize(
    ("item", "error", "message", "field"),
    [
        (asked(), EmptyStoryError, "the story is empty: send at least one sentence", "story"),
        (asked(place="story.4"), EmptyStoryError, "the story is empty", "story.4"),
        (asked(STORY[0], "?"), EmptyStoryError, "there is no word in it", "story.1"),
        (asked(STORY[0], question=" "), EmptyStoryError, "there is no word in it", "question.7"),
        (asked(*[STORY[0]] * (MOST_SENTENCES + 1)), TextTooLongError, "1,001 sentences, the limit is 1,000", "story"),
        (asked("to " * 7), TextTooLongError, "7 words, the limit is 6: shorten it", "story.0"),
        (asked("x" * 101), TextTooLongError, "101 characters, the limit is 100", "story.0"),
        (
            asked(STORY[0], "The cat went to the dog."),
            UnknownWordsError,
            "model 'teller' has never seen 'cat', 'dog': say it in words that the model was taught",
            "story.1",
        ),
        (asked(*STORY, question="Where is the Été?"), UnknownWordsError, "has never seen 'Été'", "question.7"),
        (asked("A b c d e f.", "G h i j k l."), UnknownWordsError, r"'A', 'b', .* 'j', …: say", "story.0"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(
    teller: Answerer, item: Asked, error: type[TaskRefusalError], message: str, field: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        teller.read(item, Options(), "question.7")
    assert caught.value.field == field


def test_only_a_model_with_attention_explains(tmp_path: Path) -> None:
    blind = answerer(tmp_path, attention=False).task
    with pytest.raises(NoAttentionError, match="teller"):
        blind.read(asked(*STORY), Options(explain=True), "question")
    assert answer(blind, asked(*STORY), Options()).answers[0].text == "kitchen"
