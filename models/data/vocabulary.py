"""The tokenizer of a model that writes, and reads no text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from contract.text import TextCodec

TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class WritingVocabulary:
    """The tokens that a model writes."""

    codec: TextCodec

    @classmethod
    def load(cls, folder: Path) -> WritingVocabulary:
        """Read it from a run folder."""
        return cls(TextCodec.load(folder / TOKENIZER))

    def save(self, folder: Path) -> None:
        """Write it into a run folder."""
        self.codec.save(folder / TOKENIZER)
