"""Prompts → the engine's requests → texts and tunes."""

from __future__ import annotations

from typing import Any

import pytest

from contract.inputs import prompt_row
from service.tasks.errors import BadOptionError, PromptError, TaskRefusalError, TextTooLongError
from service.tasks.generate import Composer, Options
from service.tasks.limits import RequestLimits
from service.tasks.sampling import of_item
from tests.service.generate_fakes import (
    DEFAULTS,
    PLAIN,
    TARGET_LIMIT,
    FakeComposingEngine,
    make_characters,
    make_composer,
)
from tests.service.tasks.asking import answer

CODEC = make_characters()
ENGINE = FakeComposingEngine()
LIMITS = RequestLimits(characters=200)
TUNES: Composer = make_composer(ENGINE, limits=LIMITS).task
TEXTS: Composer = make_composer(ENGINE, "texts", notation="text", ends=False, sampling=None).task


def request(composer: Composer, prompt: str, **options: Any) -> Any:
    (only,) = composer.read(prompt, Options(**options), "prompt").requests(None, 0)
    return only


@pytest.mark.parametrize("prompt", ["", "M:6/8\nK:D\n", "Once"])
def test_the_first_step_reads_the_last_token_of_a_prompt(prompt: str) -> None:
    asked = request(TEXTS, prompt)
    ids = [CODEC.bos, *CODEC.encode(prompt).ids]
    assert (asked.first_token, asked.start) == (ids[-1], len(prompt))
    expected = prompt_row(ids)
    assert asked.inputs.keys() == expected.keys()
    assert all((asked.inputs[name] == expected[name]).all() for name in expected)
    assert asked.search.max_length == TARGET_LIMIT - len(prompt)


def test_a_prompt_of_a_tune_is_read_as_models_write_it() -> None:
    work = TUNES.read("X:3\nT:Mine\nK: D\nM:6/8 % a jig\n", Options(), "prompt")
    assert CODEC.decode(work.text_ids) == "K:D\nM:6/8\n"
    assert CODEC.decode(TUNES.read("K:D\nDEF|", Options(), "prompt").text_ids) == "M:4/4\nL:1/8\nK:D\nDEF|"


def test_a_tune_is_its_prompt_and_what_was_written() -> None:
    found = answer(TUNES, "M:6/8\nK:D\n", Options(seed=7))
    assert found.text == f"M:6/8\nK:D\n{PLAIN}"
    assert found.tune == f"X:1\nT:Tune 7\nM:6/8\nL:1/8\nK:D\n{PLAIN}\n"
    assert (found.seed, found.length, found.score, found.unfinished) == (7, len(PLAIN), -0.5, False)


def test_what_has_no_key_is_no_tune_and_text_is_none_in_any_case() -> None:
    assert answer(TUNES, "M:6/8\n", Options()).tune is None
    assert answer(TEXTS, "K:D\n", Options()).tune is None


def test_only_a_model_that_has_an_end_can_miss_it() -> None:
    assert answer(TUNES, "K:D\n", Options(max_length=3)).unfinished
    assert not answer(TEXTS, "K:D\n", Options(max_length=3)).unfinished


def test_options_are_the_bundle_s_unless_they_are_given() -> None:
    sampling = request(TUNES, "K:D\n", seed=5).search.sampling
    assert (sampling.temperature, sampling.top_p, sampling.seed) == (DEFAULTS.temperature, DEFAULTS.top_p, 5)
    assert sampling.top_k == CODEC.vocabulary_size < DEFAULTS.top_k
    sampling = request(TUNES, "", temperature=2.0, top_k=3, top_p=0.5, seed=6).search.sampling
    assert (sampling.temperature, sampling.top_k, sampling.top_p, sampling.seed) == (2.0, 3, 0.5, 6)
    assert request(TEXTS, "").search.sampling.temperature == 1.0
    assert request(TUNES, "", max_length=8).search.max_length == 8


def test_the_likeliest_text_is_not_drawn() -> None:
    assert request(TUNES, "", temperature=0.0, seed=3).search.sampling is None


def test_a_seed_is_drawn_where_none_is_given_and_items_of_a_list_have_their_own() -> None:
    assert len({Options().seed for _ in range(20)}) == 20
    assert [of_item(Options(seed=2**32 - 2), index).seed for index in range(4)] == [2**32 - 2, 2**32 - 1, 0, 1]
    other = object()
    assert of_item(other, 3) is other


@pytest.mark.parametrize(
    ("composer", "prompt", "options", "error", "message"),
    [
        (TUNES, "K:", {}, PromptError, "the field K: says nothing"),
        (TUNES, "DEF|", {}, PromptError, "needs a key"),
        (TUNES, "K:D\nDü♯ü|", {}, PromptError, "'tunes' does not know 'ü', '♯': leave them out"),
        (TEXTS, "<bos>\0", {}, PromptError, r"does not know '\\x00'"),
        (TUNES, "K:D\n" + "DEF|" * 60, {}, TextTooLongError, "244 characters, the limit is 200"),
        (
            TEXTS,
            "a" * TARGET_LIMIT,
            {},
            TextTooLongError,
            "the prompt has 60 tokens, which with what follows may be 60",
        ),
        (
            TEXTS,
            "a" * 50,
            {"max_length": 11},
            BadOptionError,
            "11 tokens after a prompt of 50 .* 60: ask for 10 at most",
        ),
        (TEXTS, "", {"max_length": 0}, BadOptionError, "0 tokens are none: ask for 1 at least"),
        (TEXTS, "", {"max_length": -4}, BadOptionError, "-4 tokens are none"),
        (TEXTS, "", {"temperature": 5.1}, BadOptionError, "5.1 is not between 0 and 5"),
        (TEXTS, "", {"temperature": -0.1}, BadOptionError, "-0.1 is not between"),
        (TEXTS, "", {"top_p": 0.0}, BadOptionError, "0 is not above 0"),
        (TEXTS, "", {"top_p": 1.5}, BadOptionError, "1.5 is not above 0 and at most 1"),
        (TEXTS, "", {"top_k": 0}, BadOptionError, "0 is not between 1 and the 101 tokens"),
        (TEXTS, "", {"top_k": 102}, BadOptionError, "102 is not between 1 and the 101 tokens that this model knows"),
        (TEXTS, "", {"seed": 2**32}, BadOptionError, "4294967296 is not between 0 and 4294967295"),
        (TEXTS, "", {"seed": -1}, BadOptionError, "-1 is not between 0"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_to_change(
    composer: Composer, prompt: str, options: dict[str, Any], error: type[TaskRefusalError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        composer.read(prompt, Options(**options), "prompt")
    assert caught.value.field == (next(iter(options)) if options else "prompt")
