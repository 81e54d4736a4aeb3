"""What stands before and after a model that translates, without a model and without a server."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from contract.sentences import Sentence, part_sentences, split_sentences
from contract.text import SPECIAL_TOKENS, Encoding, TextCodec
from service.runtime.errors import NoAttentionError, RefusalError
from service.runtime.requests import Generation, Hypothesis, Run
from service.tasks.attention import SentenceAttention, SourceToken, attention_map
from service.tasks.errors import BadOptionError, BeamLimitError, EmptyTextError, TextTooLongError
from service.tasks.growing import GrowingParagraph, GrowingText
from service.tasks.limits import RequestLimits
from service.tasks.translate import Options, Piece, Translator
from tests.service.fakes import SENTENCES, SOURCE_LIMIT, FakeEngine, make_bundle, make_codec

CODEC = make_codec()
BUNDLE = make_bundle()
TRANSLATOR = Translator(BUNDLE, FakeEngine(), RequestLimits(characters=2000, explain_tokens=30, beam_size=6))  # type: ignore[arg-type]
ENDS = st.sampled_from(
    ["A b.", "“Ja!”", "z.B. so", "5.5", "🙂", "\xa0.", "B\xa0.", "\u2028", "\n\n", "\r\n", " ", "\t", "?!", "。"]
)
ANY_TEXT = st.one_of(st.text(), st.lists(ENDS, max_size=12).map("".join))


def hypothesis(ids: list[int], log_probability: float, *, finished: bool = True) -> Hypothesis:
    return Hypothesis(ids, log_probability / (len(ids) + finished), log_probability, finished)


def generation(*hypotheses: Hypothesis) -> Generation:
    return Generation(list(hypotheses), Run("encode", 1.0, 1.1, 1), 0.0, 0.1, 0.2, 3)


@given(ANY_TEXT, st.sampled_from([None, "en", "de", "zh", "xx"]))
def test_sentences_put_together_are_the_text(text: str, language: str | None) -> None:
    sentences = split_sentences(text, language)
    assert "".join(sentence.text + sentence.separator for sentence in sentences) == text.strip()
    for sentence in sentences:
        assert text[sentence.start :].startswith(sentence.text)
        assert sentence.text == sentence.text.strip() != ""
        assert not sentence.separator.strip()


def test_a_paragraph_is_split_where_a_sentence_ends() -> None:
    text = " Mr. Smith cooks, e.g. soup.  Does he?\n\nHe does! "
    assert split_sentences(text, "en") == [
        Sentence("Mr. Smith cooks, e.g. soup.", 1, "  "),
        Sentence("Does he?", 30, "\n\n"),
        Sentence("He does!", 40, ""),
    ]


@pytest.mark.parametrize(
    ("language", "translation"),
    [
        ("en", "我喜欢喝茶。 天气很好。\n再见。"),
        ("zh", "我喜欢喝茶。天气很好。\n再见。"),
        (None, "我喜欢喝茶。天气很好。\n再见。"),
    ],
)
def test_sentences_without_spaces_get_them_in_a_language_that_has_them(language: str | None, translation: str) -> None:
    sentences = part_sentences(split_sentences("我喜欢喝茶。天气很好。\n再见。", "zh"), language)
    assert "".join(sentence.text + sentence.separator for sentence in sentences) == translation
    assert part_sentences([], language) == []


def test_a_translation_parts_its_sentences_as_its_language_does() -> None:
    preprocessing = BUNDLE.manifest.text.model_copy(update={"target_language": "de"})
    bundle = replace(BUNDLE, manifest=BUNDLE.manifest.model_copy(update={"preprocessing": preprocessing}))
    limits = RequestLimits(characters=2000, explain_tokens=30, beam_size=6)
    translator = Translator(bundle, FakeEngine(), limits)  # type: ignore[arg-type]
    pieces = translator.pieces("Is it?Yes.", Options(), "text")
    assert [piece.sentence.separator for piece in pieces] == [" ", ""]


@given(st.sampled_from(SENTENCES), st.data())
def test_pieces_of_a_growing_text_joined_are_the_text(sentence: str, data: st.DataObject) -> None:
    ids = CODEC.encode(sentence).ids
    growing = GrowingText(CODEC)
    pieces = []
    while ids:
        count = data.draw(st.integers(1, len(ids)))
        pieces.append(growing.push(ids[:count]))
        ids = ids[count:]
    assert "".join(pieces) == sentence
    assert growing.finish(sentence) == ""


def test_a_character_of_several_tokens_is_given_out_whole() -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=260, special_tokens=list(SPECIAL_TOKENS), initial_alphabet=alphabet)
    tokenizer.train_from_iterator([], trainer)
    codec = TextCodec(tokenizer)
    growing = GrowingText(codec)
    assert [growing.push([i]) for i in codec.encode("aé🙂!").ids] == ["a", "", "é", "", "", "", "🙂", "!"]


def test_text_that_was_given_out_cannot_be_taken_back() -> None:
    growing = GrowingText(CODEC)
    growing.push(CODEC.encode("A man").ids)
    with pytest.raises(ValueError, match="'A man' was given out already, it cannot become 'A dog'"):
        growing.finish("A dog")


@given(st.data())
def test_sentences_of_a_growing_paragraph_are_heard_in_turn(data: st.DataObject) -> None:
    sentences, separators = SENTENCES[:3], [" ", "\n\n", ""]
    whole = "".join(s + p for s, p in zip(sentences, separators, strict=True))
    paragraph = GrowingParagraph(CODEC, separators)
    ids = [CODEC.encode(sentence).ids for sentence in sentences]
    heard, running = "", [0, 1, 2]
    while running:
        index = data.draw(st.sampled_from(running))
        if ids[index] and data.draw(st.booleans()):
            heard += paragraph.push(index, [ids[index].pop(0)])
        else:
            heard += paragraph.finish(index, CODEC.encode(sentences[index]).ids)
            running.remove(index)
        assert whole.startswith(heard)
    assert heard == whole


def test_reading_a_text_gives_its_sentences_as_ids_closed_by_the_end_token() -> None:
    pieces = TRANSLATOR.pieces("A man. Two dogs!", Options(), "text")
    assert [piece.sentence.text for piece in pieces] == ["A man.", "Two dogs!"]
    assert [piece.source.ids for piece in pieces] == [
        [*CODEC.encode(t).ids, CODEC.eos] for t in ("A man.", "Two dogs!")
    ]
    assert not any(piece.truncated for piece in pieces)


@pytest.mark.parametrize("text", ["", " ", "\n\t \xa0\u2028"])
def test_there_must_be_something_to_translate(text: str) -> None:
    with pytest.raises(EmptyTextError, match="send at least one word") as caught:
        TRANSLATOR.read(text, Options(), "text.3")
    assert caught.value.field == "text.3"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("A man. " + "dog " * 30, Options(), r"a sentence \(from character 7\) has \d+ tokens.* is 24: shorten it"),
        ("x" * 2001, Options(truncate=True), "2001 characters, the limit is 2000"),
        ("A man. Two dogs! " * 4, Options(explain=True), r"\d+ tokens to explain, the limit is 30"),
    ],
)
def test_too_much_is_refused_with_what_to_do(text: str, options: Options, message: str) -> None:
    with pytest.raises(TextTooLongError, match=message) as caught:
        TRANSLATOR.read(text, options, "text")
    assert (caught.value.reason, caught.value.field) == ("input-too-long", "text")


def test_a_sentence_is_cut_where_that_is_asked_for() -> None:
    text = "dog " * 30
    (piece,) = TRANSLATOR.pieces(text, Options(truncate=True), "text")
    assert piece.truncated
    assert piece.source.ids == [*CODEC.encode(text).ids[: SOURCE_LIMIT - 1], CODEC.eos]
    assert len(piece.source.tokens) == len(piece.source.offsets) == SOURCE_LIMIT
    last_kept, end = piece.source.offsets[-2:]
    assert end == (last_kept[1], last_kept[1])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(), (2, 1.0, 1)),
        (Options(beam_size=1, length_penalty=0.0), (1, 0.0, 1)),
        (Options(alternatives=1), (2, 1.0, 2)),
        (Options(alternatives=4), (5, 1.0, 5)),
    ],
)
def test_a_search_takes_what_is_asked_for_and_else_the_bundle_s_defaults(
    options: Options, expected: tuple[int, float, int]
) -> None:
    search = TRANSLATOR.search(options)
    assert (search.beam_size, search.length_penalty, search.alternatives) == expected


@pytest.mark.parametrize(
    ("options", "error", "field"),
    [
        (Options(beam_size=2, alternatives=2), BadOptionError, "alternatives"),
        (Options(beam_size=7), BeamLimitError, "beam_size"),
        (Options(alternatives=6), BeamLimitError, "beam_size"),
        (Options(max_length=41), BadOptionError, "max_length"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: Options, error: type[RefusalError], field: str) -> None:
    with pytest.raises(error) as caught:
        TRANSLATOR.search(options)
    assert caught.value.field == field  # type: ignore[attr-defined]


def test_a_model_without_attention_does_not_explain() -> None:
    mute = Translator(make_bundle("mute", attention=False), FakeEngine())  # type: ignore[arg-type]
    with pytest.raises(NoAttentionError, match="'mute' has no attention"):
        mute.search(Options(explain=True))


@pytest.mark.parametrize(("asked", "expected"), [(None, 3 * 5 + 10), (7, 7)])
def test_the_longest_output_follows_from_the_source(asked: int | None, expected: int) -> None:
    options = Options(max_length=asked)
    ids = [7, 8, 9, 10, CODEC.eos]
    piece = Piece(Sentence("x", 0, ""), Encoding(ids, [], []), truncated=False)
    request = TRANSLATOR.request(piece, TRANSLATOR.search(options), options, deadline=3.5)
    assert request.search.max_length == expected
    assert request.deadline == 3.5
    assert request.inputs["source_ids"].tolist() == ids
    assert request.inputs["source_lengths"].shape == ()
    assert request.inputs["source_lengths"] == 5


def test_the_longest_output_never_exceeds_the_model_s_limit() -> None:
    piece = TRANSLATOR.pieces("dog " * 30, Options(truncate=True), "text")[0]
    assert TRANSLATOR.request(piece, TRANSLATOR.search(Options()), Options()).search.max_length == 40


def pieces_of(text: str) -> list[Piece]:
    return TRANSLATOR.pieces(text, Options(), "text")


def test_one_sentence_keeps_its_own_score() -> None:
    ids = CODEC.encode("Ein Mann").ids
    best = hypothesis(ids, -2.0)
    translation = TRANSLATOR.write(pieces_of("A man"), [generation(best)], TRANSLATOR.search(Options()))
    assert (translation.best.text, translation.best.score) == ("Ein Mann", best.score)
    assert (translation.alternatives, translation.truncated, translation.unfinished) == ([], False, False)


def test_a_paragraph_is_scored_over_all_its_tokens() -> None:
    first, second = CODEC.encode("Ein Mann.").ids, CODEC.encode("Ja!").ids
    results = [generation(hypothesis(first, -2.0)), generation(hypothesis(second, -5.0, finished=False))]
    translation = TRANSLATOR.write(pieces_of("A man.\n Yes!"), results, TRANSLATOR.search(Options(length_penalty=0.5)))
    assert translation.best.text == "Ein Mann.\n Ja!"
    assert translation.best.score == pytest.approx(-7.0 / (len(first) + 1 + len(second)) ** 0.5)
    assert translation.unfinished


def test_the_nth_alternative_is_made_of_the_nth_best_of_each_sentence() -> None:
    def said(*texts: str) -> Generation:
        return generation(*(hypothesis(CODEC.encode(text).ids, -1.0 - rank) for rank, text in enumerate(texts)))

    results = [said("Ein Hund.", "A man.", "A girl."), said("Is it?", "It is.")]
    translation = TRANSLATOR.write(pieces_of("A dog. Is it?"), results, TRANSLATOR.search(Options(alternatives=2)))
    said_so = [translation.best, *translation.alternatives]
    # The second sentence has no third hypothesis: its last stands in.
    assert [rendering.text for rendering in said_so] == ["Ein Hund. Is it?", "A man. It is.", "A girl. It is."]


def test_a_text_s_work_asks_for_its_sentences_and_puts_the_answers_together() -> None:
    work = TRANSLATOR.read("A man.  Two dogs!", Options(max_length=9), "text")
    requests = work.requests(1e9, 7)
    assert (work.rows, work.explains, work.size) == (2, False, sum(len(piece.source.ids) for piece in work.pieces))
    assert [(r.deadline, r.group, r.search.max_length) for r in requests] == [(1e9, 7, 9)] * 2
    outcomes = [TRANSLATOR.engine.submit(request).future.result(5) for request in requests]
    assert work.result(outcomes).best.text == "A man.  Two dogs!"


def test_an_explanation_speaks_of_the_text_that_was_sent() -> None:
    text = "  A man.  Two dogs!"
    work = TRANSLATOR.read(text, Options(explain=True, alternatives=1), "text")
    assert work.explains
    results = [TRANSLATOR.engine.submit(request).future.result(5) for request in work.requests(None, 0)]
    explained = work.result(results)
    for rendering, generations in (
        (explained.best, [r.hypotheses[0] for r in results]),
        (explained.alternatives[0], [r.hypotheses[1] for r in results]),
    ):
        attention = rendering.attention
        assert attention is not None
        tokens = [CODEC.tokens(h.token_ids) for h in generations]
        assert rendering.tokens == tokens[0] + tokens[1]
        assert attention.axes == ("target", "source")
        assert attention.targets == [*tokens[0], "<eos>", *tokens[1], "<eos>"]
        words = [s for s in attention.sources if s.text != "<eos>"]
        assert [text[s.start : s.end] for s in words] == [s.text for s in words]
        assert "".join(s.text for s in words) == "Aman.Twodogs!"
        assert [(s.start, s.end) for s in attention.sources if s.text == "<eos>"] == [(8, 8), (19, 19)]
        assert np.allclose(np.sum(attention.weights, axis=1), 1, atol=1e-4)


def test_a_paragraph_s_map_has_a_block_for_each_sentence() -> None:
    token = SourceToken("x", 0, 1)
    first = SentenceAttention([token] * 2, ["a"], np.array([[0.25, 0.75]], dtype=np.float32))
    # Rows and columns of padding are left out.
    second = SentenceAttention([token], ["b", "c"], np.array([[1, 0], [0.5, 0], [9, 9]], dtype=np.float32))
    found = attention_map(("target", "source"), [first, second])
    assert found.weights == [[0.25, 0.75, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.5]]
    assert (found.targets, len(found.sources)) == (["a", "b", "c"], 3)
