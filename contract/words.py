"""Words as a tagger reads them: text → word ids and character ids, with the place of every word in the text.

One `tokenizers` file holds the rules of splitting, what a word is normalised to (lower case, digits as 0) and the
vocabulary; the characters of a word are those of the text as it was given, so that casing is not lost. The same code in
training and in serving.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from contract.text import PAD, PAD_ID, UNK, Encoding

UNK_ID = 1
"""Id of what was never seen, of words and of characters alike."""


class Characters:
    """Numbers the characters of words.

    Args:
        known: characters by id, from 2 on.
        longest: how many characters of a word are read; of a longer word the first and the last ones.
    """

    def __init__(self, known: Sequence[str], longest: int) -> None:
        self.known = tuple(known)
        self.longest = longest
        self._ids = {character: index for index, character in enumerate(known, UNK_ID + 1)}
        if len(self._ids) != len(self.known) or longest < 2:
            raise ValueError("a table of characters lists each once, and reads at least 2 of a word")

    @property
    def size(self) -> int:
        """Number of ids."""
        return len(self.known) + UNK_ID + 1

    def encode(self, word: str) -> list[int]:
        """Ids of a word's characters."""
        ids = self._ids
        return [ids.get(character, UNK_ID) for character in self.read(word)]

    def read(self, word: str) -> str:
        """The characters of a word that a model reads: composed, so that é is one however it was written."""
        word = word if word.isascii() else unicodedata.normalize("NFC", word)
        if len(word) <= self.longest:
            return word
        head = (self.longest + 1) // 2
        return word[:head] + word[head - self.longest :]


@dataclass(frozen=True)
class WordCodec:
    """The words of a text by a tokenizer file, and their characters where the model reads them."""

    tokenizer: Tokenizer
    characters: Characters | None = None

    def __post_init__(self) -> None:
        special = [self.tokenizer.token_to_id(token) for token in (PAD, UNK)]
        if special != [PAD_ID, UNK_ID]:
            raise ValueError(f"the tokenizer of a tagger numbers {PAD} {PAD_ID} and {UNK} {UNK_ID}, not {special}")
        # A user who writes "<unk>" means these five characters.
        self.tokenizer.encode_special_tokens = True

    @classmethod
    def load(cls, tokenizer: Path, characters: Path | None) -> WordCodec:
        """Read the files.

        Raises:
            ValueError: one of them is not what it should be.
        """
        try:
            words = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # the library raises bare Exception
            raise ValueError(f"{tokenizer}: not a tokenizer file ({error})") from error
        if characters is None:
            return cls(words)
        try:
            table = json.loads(characters.read_text("utf-8"))
            return cls(words, Characters(table["characters"], table["longest"]))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{characters}: not a table of characters ({error})") from error

    def save(self, tokenizer: Path, characters: Path | None) -> None:
        """Write the files; `characters` is given when there are any."""
        self.tokenizer.save(str(tokenizer), pretty=False)
        if self.characters is not None:
            assert characters is not None
            table = {"longest": self.characters.longest, "characters": self.characters.known}
            characters.write_text(json.dumps(table, ensure_ascii=False) + "\n", "utf-8")

    @property
    def vocabulary_size(self) -> int:
        """Number of word ids."""
        return int(self.tokenizer.get_vocab_size())

    @property
    def longest_word(self) -> int | None:
        """How many characters of a word are read at most; None when none are."""
        return self.characters.longest if self.characters else None

    def encode(self, text: str) -> Encoding:
        """The words of a text, none for a text of spaces."""
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        offsets = encoding.offsets if text.isascii() else _whole(text, encoding.offsets)
        return Encoding(encoding.ids, encoding.tokens, offsets)

    def inputs(self, text: str, encoding: Encoding) -> dict[str, NDArray[np.int64]]:
        """One row of the model's inputs.

        `source_ids [source]`, `source_lengths []`; with characters also `character_ids [source, characters]` and
        `character_counts [source]`.
        """
        arrays = {
            "source_ids": np.array(encoding.ids, np.int64),
            "source_lengths": np.array(len(encoding.ids), np.int64),
        }
        if self.characters is None:
            return arrays
        encode = self.characters.encode
        rows = [encode(text[start:end]) for start, end in encoding.offsets]
        counts = [len(row) for row in rows]
        width = max(counts, default=1)
        padded = [row + [PAD_ID] * (width - count) for row, count in zip(rows, counts, strict=True)]
        arrays["character_ids"] = np.array(padded, np.int64).reshape(len(rows), width)
        arrays["character_counts"] = np.array(counts, np.int64)
        return arrays


def _whole(text: str, offsets: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Offsets whose ends include the signs that normalisation composed with the last one, which the library leaves out.

    Words cover everything but spaces, so what follows a word, up to a space or the next word, belongs to it.
    """
    bounds = [*(start for start, _ in offsets), len(text)][1:]
    whole = []
    for (start, end), bound in zip(offsets, bounds, strict=True):
        while end < bound and not text[end].isspace():
            end += 1  # noqa: PLW2901 an offset grows
        whole.append((start, end))
    return whole
