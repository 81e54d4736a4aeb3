from __future__ import annotations

import pytest

from models.data.words import WordsConfig, train_words

CODEC = train_words(["one"], WordsConfig())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('The U.S.-led force said it\'s "ready".', 'The U.S.-led force said it \'s " ready " .'),
        ("Mr. O'Brien doesn't agree!", "Mr. O'Brien does n't agree !"),
        ("J. Smith, of Apple Inc.", "J. Smith , of Apple Inc."),
        ("on 1996-08-22 at 7:30: $1,000.50 (5%)", "on 1996-08-22 at 7:30 : $ 1,000.50 ( 5 % )"),
        ("6-4 7-6 1/2 S&P all-rounder", "6-4 7-6 1/2 S&P all-rounder"),
        ("He left... -- so? \u201cYes\u201d don\u2019t", "He left ... -- so ? \u201c Yes \u201d do n\u2019t"),
        ("@you: see https://a.org/b?c=1, #tag e@x.org.", "@you : see https://a.org/b?c=1 , #tag e@x.org ."),
        ("hi😀👩\u200d🔬🇩🇪👍🏽", "hi 😀 👩\u200d🔬 🇩🇪 👍🏽"),
        ("彭小军玩dota2、CSOL\uff0c2010年", "彭 小 军 玩 dota2 、 CSOL \uff0c 2010 年"),
        ("東京タワーへ", "東 京 タ ワ ー へ"),
        ("Москва и Αθήνα", "Москва и Αθήνα"),
    ],
)
def test_where_a_text_is_split(text: str, expected: str) -> None:
    assert [text[start:end] for start, end in CODEC.encode(text).offsets] == expected.split()


def test_the_most_frequent_words_come_first_and_rare_ones_are_left_out() -> None:
    codec = train_words(["b a c", "A B", "b 12 34"], WordsConfig(min_count=2, min_character_count=3))
    assert [codec.tokenizer.id_to_token(i) for i in range(codec.vocabulary_size)] == ["<pad>", "<unk>", "b", "00", "a"]
    assert codec.characters is not None
    assert codec.characters.known == ()


def test_characters_are_counted_as_written() -> None:
    codec = train_words(["Ab ab", "abc"], WordsConfig(min_character_count=2))
    assert codec.characters is not None
    assert codec.characters.known == ("b", "a")
    assert train_words(["a"], WordsConfig(characters=False)).characters is None
