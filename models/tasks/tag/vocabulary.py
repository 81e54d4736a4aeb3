"""What a tagging run learns from its data before any weight: words, characters and tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from contract.tags import BEGIN, INSIDE, OUTSIDE, TagSet
from contract.text import Encoding
from contract.words import WordCodec
from models.data.tagged import Span

WORDS, CHARACTERS, TAGS = "words.json", "characters.json", "tags.json"


@dataclass(frozen=True)
class Vocabulary:
    """The words and characters that a tagger reads, and the tags that it gives (without learnt scores)."""

    words: WordCodec
    tags: TagSet

    @classmethod
    def load(cls, folder: Path) -> Vocabulary:
        """Read it from a run folder."""
        characters = folder / CHARACTERS
        words = WordCodec.load(folder / WORDS, characters if characters.is_file() else None)
        return cls(words, TagSet.load(folder / TAGS))

    def save(self, folder: Path) -> None:
        """Write it into a run folder."""
        self.words.save(folder / WORDS, folder / CHARACTERS)
        self.tags.save(folder / TAGS)

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {tag: index for index, tag in enumerate(self.tags.tags)}

    def tag_ids(self, spans: Sequence[Span], encoding: Encoding) -> list[int]:
        """A tag for each word; a word that an entity covers in part belongs to it."""
        tags = [self._ids[OUTSIDE]] * len(encoding.ids)
        for label, start, end in spans:
            inside = [i for i, (first, last) in enumerate(encoding.offsets) if first < end and last > start]
            for place, word in enumerate(inside):
                tags[word] = self._ids[f"{INSIDE if place else BEGIN}{label}"]
        return tags
