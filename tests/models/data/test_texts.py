from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from models.data.lines import DataError
from models.data.masking import SPECIAL
from models.data.texts import TextFile, cut_pieces, read_texts
from models.data.wordpiece import WordPieceConfig, train_wordpiece

TEXTS = ["a small dog runs", "the dog, unbelievable"] * 5


def test_lines_are_texts_without_outer_spaces_and_empty_ones(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(" one\u2028line \n\n two\n", "utf-8")
    assert read_texts(TextFile(file="a.txt"), tmp_path) == ["one\u2028line", "two"]


def test_a_column_of_a_table_holds_texts(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.tsv.gz", "wt", encoding="utf-8") as file:
        file.write("label\ttext\n1\tgood<br />film\n0\t\n")
    table = TextFile(file="a.tsv.gz", text="text")
    assert read_texts(table, tmp_path, "<br />") == ["good\nfilm"]
    assert read_texts(table.model_copy(update={"text": 0, "header": False}), tmp_path) == ["label", "1", "0"]


def test_a_broken_table_is_named_by_line(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("label\ttext\n1\tfine\n0\n", "utf-8")
    with pytest.raises(DataError, match=r"a\.tsv:3: 1 columns, column 1 is asked for"):
        read_texts(TextFile(file="a.tsv", text="text"), tmp_path)
    with pytest.raises(DataError, match=r"a\.tsv:1: no column 'body'; columns: label, text"):
        read_texts(TextFile(file="a.tsv", text="body"), tmp_path)


def test_a_file_without_texts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n \n", "utf-8")
    with pytest.raises(DataError, match=r"a\.txt: no texts"):
        read_texts(TextFile(file="a.txt"), tmp_path)


def test_a_codec_closes_texts_and_no_text_can_name_its_mask() -> None:
    codec = train_wordpiece(TEXTS, WordPieceConfig(vocabulary_size=60))
    assert codec.tokenizer.encode("A dog").tokens == ["[CLS]", "a", "dog", "[SEP]"]
    assert [codec.token_id(token) for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")] == [0, 1, 2, 3, 4]
    assert 4 not in codec.encode("the [MASK] runs").ids


def test_long_texts_become_pieces_that_are_each_closed() -> None:
    codec = train_wordpiece(TEXTS, WordPieceConfig(vocabulary_size=60))
    whole = codec.encode(TEXTS[0]).ids
    (short,) = cut_pieces([TEXTS[0]], codec, max_length=8)
    assert short.ids.tolist() == whole
    assert short.words.tolist() == [SPECIAL, 0, 1, 2, 3, SPECIAL]
    first, second = cut_pieces([TEXTS[0]], codec, max_length=5)
    assert [first.ids.tolist(), second.ids.tolist()] == [[*whole[:4], whole[-1]], [whole[0], *whole[4:]]]
    assert second.words.tolist() == [SPECIAL, 3, SPECIAL]


def test_pieces_of_a_word_share_its_number_and_texts_without_tokens_make_none() -> None:
    codec = train_wordpiece(["dog doll do"] * 3, WordPieceConfig(vocabulary_size=14))
    assert cut_pieces(["  "], codec, max_length=8) == []
    (piece,) = cut_pieces(["do dog"], codec, max_length=12)
    tokens = codec.tokens(piece.ids.tolist())
    for token, word, before in zip(tokens[1:-1], piece.words[1:-1], piece.words[:-2], strict=True):
        assert (word == before) == token.startswith("##")
    assert any(token.startswith("##") for token in tokens)
