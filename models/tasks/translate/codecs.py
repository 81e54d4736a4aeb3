"""The tokenizers of a translation run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from contract.text import TextCodec

SOURCE, TARGET = "tokenizer.source.json", "tokenizer.target.json"


@dataclass(frozen=True)
class Codecs:
    """Tokenizers of source and target; where the vocabulary is joint they hold the same ids."""

    source: TextCodec
    target: TextCodec

    @classmethod
    def load(cls, folder: Path) -> Codecs:
        """Read them from a run folder."""
        return cls(TextCodec.load(folder / SOURCE), TextCodec.load(folder / TARGET))

    def save(self, folder: Path) -> None:
        """Write them into a run folder."""
        self.source.save(folder / SOURCE)
        self.target.save(folder / TARGET)
