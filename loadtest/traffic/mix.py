"""Everybody who asks, in the shares in which they come."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from loadtest.traffic.asker import Asker
from loadtest.traffic.material import Material
from loadtest.traffic.memory import Memory
from loadtest.traffic.photographs import Photographer
from loadtest.traffic.question import Question
from loadtest.traffic.sessions import Shopper
from loadtest.traffic.stories import Listener
from loadtest.traffic.texts import Critic, Indexer, Reader
from loadtest.traffic.tunes import Composer

ASKERS: dict[str, type[Asker]] = {
    "translate": Reader,
    "classify": Critic,
    "tag": Indexer,
    "recommend": Shopper,
    "caption": Photographer,
    "answer": Listener,
    "generate": Composer,
}
SHARES = {"translate": 4, "classify": 4, "tag": 3, "recommend": 6, "caption": 1, "answer": 1, "generate": 1}
"""Requests of each task, of 20: pages are looked at more often than pictures are uploaded."""

Limits = Mapping[str, Mapping[str, int]]
"""Of each task that is served, the largest sizes that its default model takes, by axis."""


class MixError(ValueError):
    """Shares that mean nothing; the message says what to write."""


def read_shares(text: str) -> dict[str, int]:
    """Shares written as `translate=3,classify=1`, or as names alone, which then share alike.

    Raises:
        MixError: a name is no task, or a share no number above 0.
    """
    shares = {}
    for part in text.split(","):
        name, named, share = part.strip().partition("=")
        if name not in ASKERS:
            raise MixError(f"{name!r} is none of {', '.join(ASKERS)}: write a mix as translate=3,classify=1")
        if named and not (share.isdigit() and int(share)):
            raise MixError(f"{part!r}: a share is a whole number above 0")
        shares[name] = int(share) if named else 1
    return shares


class Mix:
    """Draws the next question, whoever asks it; the same seed draws the same questions."""

    def __init__(
        self, shares: Mapping[str, int], limits: Limits, material: Material, memory: Memory, seed: int = 1
    ) -> None:
        missing = sorted(set(shares) - set(limits))
        if missing:
            raise MixError(f"nothing is served for {', '.join(missing)}: leave it out of --mix")
        if not shares:
            raise MixError(f"nothing is served for any of {', '.join(ASKERS)}, and nobody asks for anything else")
        self._random = Random(seed)  # noqa: S311  # traffic, not secrets
        self._askers = {name: ASKERS[name](material, memory, self._random, limits[name]) for name in shares}
        self._shares = [shares[name] for name in self._askers]

    def draw(self) -> Question:
        """The next question."""
        (name,) = self._random.choices(list(self._askers), self._shares)
        return self._askers[name].draw()
