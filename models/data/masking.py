"""Masked tokens to be guessed (Devlin et al. 2019, section 3.1 and appendix A.1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from contract.signature import Frozen

Ids = NDArray[np.int64]

SPECIAL = -1
"""Word number of a token that stands for no part of the text."""


class MaskingConfig(Frozen):
    """How tokens are hidden; of the chosen ones, those neither masked nor replaced stay as they are."""

    rate: float = Field(default=0.15, gt=0, lt=1, description="share of a text's tokens that are to be guessed")
    masked: float = Field(default=0.8, ge=0, le=1, description="share of the chosen that become the mask token")
    replaced: float = Field(default=0.1, ge=0, le=1, description="share of the chosen that become a random token")
    whole_words: bool = Field(default=True, description="choose words, with all their pieces, instead of tokens")


@dataclass(frozen=True)
class Piece:
    """A part of a text: `ids [source]`, and the number of the word that each belongs to (`SPECIAL`: to none)."""

    ids: Ids
    words: Ids


@dataclass(frozen=True)
class Masker:
    """Hides tokens.

    Attributes:
        config: how many, and how.
        mask: id of the mask token.
        ordinary: the ids that a random token is drawn from.
    """

    config: MaskingConfig
    mask: int
    ordinary: Ids

    def hide(self, piece: Piece, draw: np.random.Generator) -> tuple[Ids, Ids]:
        """What the model reads, and what it has to guess: the hidden ids, 0 elsewhere, `[source]` each."""
        chosen = self._choose(piece.words if self.config.whole_words else _each_alone(piece.words), draw)
        fate = draw.random(len(chosen))
        read = piece.ids.copy()
        masked = fate < self.config.masked
        replaced = ~masked & (fate < self.config.masked + self.config.replaced)
        read[chosen[masked]] = self.mask
        read[chosen[replaced]] = draw.choice(self.ordinary, replaced.sum())
        guessed = np.zeros_like(piece.ids)
        guessed[chosen] = piece.ids[chosen]
        return read, guessed

    def _choose(self, words: Ids, draw: np.random.Generator) -> Ids:
        """Positions to hide: words in random order, as many as fit into the rate, but at least one."""
        budget = self.config.rate * (words != SPECIAL).sum()
        order = draw.permutation(np.unique(words[words != SPECIAL]))
        chosen: list[int] = []
        for word in order:
            positions = np.flatnonzero(words == word).tolist()
            if not chosen or len(chosen) + len(positions) <= budget + 0.5:
                chosen += positions
            if len(chosen) >= budget:
                break
        return np.array(chosen, np.int64)


def _each_alone(words: Ids) -> Ids:
    return np.where(words == SPECIAL, SPECIAL, np.arange(len(words)))
