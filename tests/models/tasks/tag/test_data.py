from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from contract.tags import TagSet
from models.data.tagged import TaggedText
from models.data.words import WordsConfig, train_words
from models.registry import ConfigError
from models.tasks.tag.config import TaggedData
from models.tasks.tag.data import NoisyRows, labelled_row, read_split, take_apart
from models.tasks.tag.vocabulary import Vocabulary

DATA = Path(__file__).parents[3] / "data" / "tagged"
TEXT = TaggedText("Ada Bee saw El-Bay, Inc. today", (("PER", 0, 7), ("LOC", 12, 14), ("ORG", 20, 24)), "")


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary(train_words([TEXT.text], WordsConfig()), TagSet.of_labels(["LOC", "ORG", "PER"]))


def names(vocabulary: Vocabulary, tags: np.ndarray) -> list[str]:
    return [vocabulary.tags.tags[tag] for tag in tags]


def test_words_take_the_tags_of_what_covers_them_even_in_part(vocabulary: Vocabulary) -> None:
    row = labelled_row(TEXT, vocabulary, 99)
    expected = ["B-PER", "I-PER", "O", "B-LOC", "O", "B-ORG", "O"]  # Ada Bee saw El-Bay , Inc. today
    assert names(vocabulary, row["tags"]) == expected
    assert set(row) == {"source_ids", "source_lengths", "character_ids", "character_counts", "tags"}


def test_what_is_longer_than_the_limit_is_cut(vocabulary: Vocabulary) -> None:
    row = labelled_row(TEXT, vocabulary, 4)
    assert names(vocabulary, row["tags"]) == ["B-PER", "I-PER", "O", "B-LOC"]
    assert row["source_lengths"] == 4
    assert row["character_ids"].shape == (4, 6)


def test_a_folder_holds_the_vocabulary(vocabulary: Vocabulary, tmp_path: Path) -> None:
    vocabulary.save(tmp_path)
    loaded = Vocabulary.load(tmp_path)
    assert loaded.tags.tags == vocabulary.tags.tags
    np.testing.assert_equal(labelled_row(TEXT, loaded, 99), labelled_row(TEXT, vocabulary, 99))


def test_words_without_characters_leave_no_file_of_them(tmp_path: Path) -> None:
    Vocabulary(train_words(["a"], WordsConfig(characters=False)), TagSet.of_labels(["X"])).save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tags.json", "words.json"]
    assert Vocabulary.load(tmp_path).words.characters is None


def test_rare_words_are_unknown_by_chance() -> None:
    rows = [{"source_ids": np.array([2] * 999 + [3])} for _ in range(200)]  # 2 often, 3 in 200 places
    rows.append({"source_ids": np.array([4])})
    noisy = NoisyRows(rows, rate=200.0, seed=1)
    epoch = noisy(0)
    assert [row["source_ids"].tolist() for row in epoch] == [row["source_ids"].tolist() for row in noisy(0)]
    assert any((one["source_ids"] != other["source_ids"]).any() for one, other in zip(epoch, noisy(1), strict=True))
    ids = np.array([row["source_ids"] for row in epoch[:-1]])
    assert set(np.unique(ids[:, -1])) == {1, 3}
    assert 0.35 < (ids[:, -1] == 1).mean() < 0.65  # 200 / (200 + 200)
    assert (ids[:, :-1] == 1).mean() < 0.003  # 200 / (200 + 199,800)
    gone = [noisy(number)[-1]["source_ids"][0] == 1 for number in range(30)]
    assert sum(gone) > 25  # 200 / (200 + 1)


def test_without_a_rate_the_rows_stay_as_they_are() -> None:
    rows = [{"source_ids": np.array([2, 3, 3])}]
    assert NoisyRows(rows, rate=0.0, seed=1)(0)[0]["source_ids"].tolist() == [2, 3, 3]


def test_a_text_is_taken_apart_into_the_sentences_that_a_service_tags() -> None:
    text = "Ada left. She lives in Elm Bay! "
    entities = (("PER", 0, 3), ("LOC", 23, 30))
    first, second = take_apart(TaggedText(text, entities, "x"), "en")
    assert (first.text, first.spans) == ("Ada left.", (("PER", 0, 3),))
    assert second.spans == (("LOC", 13, 20),)
    assert second.text[13:20] == "Elm Bay"
    assert first.source == second.source == "x"


def test_an_entity_across_a_cut_stays_with_its_beginning_and_is_never_right() -> None:
    first, second = take_apart(TaggedText("I saw Ada. Bee left.", (("PER", 6, 14),), ""), "en")
    assert first.spans == (("PER", 6, 14),)
    assert len(first.text) == 10
    assert second.spans == ()


def test_validation_is_carved_by_documents_where_none_is_named() -> None:
    data = TaggedData.model_validate({"train": {"columns": "train.conll"}})
    train, validation = (read_split(data, DATA, split) for split in ("train", "validation"))
    assert train
    assert validation
    assert {text.source for text in train}.isdisjoint(text.source for text in validation)
    named = TaggedData.model_validate({"train": {"columns": "train.conll"}, "validation": {"columns": "test.conll"}})
    assert len(read_split(named, DATA, "train")) == len(train) + len(validation)
    with pytest.raises(ConfigError, match=r"the config names no test files \(data\.test\)"):
        read_split(data, DATA, "test")
