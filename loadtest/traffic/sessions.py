"""Sessions of a shop, for which the next item is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from loadtest.traffic.asker import Asker
from loadtest.traffic.material import Material
from loadtest.traffic.memory import Memory
from loadtest.traffic.question import Check, Question, ask_json

_LIST, _FEW, _DEFAULT = 8, 5, 20
_SESSIONS, _MOST_ITEMS, _LONGEST = 500, 43_000, 20
"""Of sessions that are made up."""
_CHOICES, _CANDIDATES = 20, 200


Session = Sequence[int | str]


class Shopper(Asker):
    """Looks at one item after the other."""

    def __init__(self, material: Material, memory: Memory, random: Random, limits: Mapping[str, int]) -> None:
        super().__init__(material, memory, random, limits)
        self._sessions: Sequence[Session] = material.sessions or [self._make_up() for _ in range(_SESSIONS)]
        self._choices = [[random.randint(1, _MOST_ITEMS) for _ in range(_CANDIDATES)] for _ in range(_CHOICES)]

    def kinds(self) -> Mapping[Callable[[], Question], int]:
        return {self._next: 6, self._new: 3, self._several: 1}

    def _next(self) -> Question:
        """What comes next."""
        return self._ask(self.random.choices(self._sessions), _DEFAULT, {})

    def _new(self) -> Question:
        """What comes next that was not in the session, of some items only."""
        options = {"candidates": self.random.choice(self._choices), "exclude_seen": True}
        return self._ask(self.random.choices(self._sessions), _FEW, options)

    def _several(self) -> Question:
        return self._ask(self.random.choices(self._sessions, k=_LIST), _DEFAULT, {})

    def _ask(self, sessions: Sequence[Session], most: int, options: dict[str, Any]) -> Question:
        body = {"session": sessions if len(sessions) > 1 else sessions[0], "top_k": most, **options}
        wrong = [self._check(session, most, options) for session in sessions]
        return ask_json("recommend", "/v1/recommend", body, "recommendations", wrong)

    def _check(self, session: Session, most: int, options: dict[str, Any]) -> Check:
        key = "recommend", tuple(session), most, tuple(options.get("candidates", ()))

        def wrong(found: dict[str, Any]) -> str | None:
            best = found["items"][0] if found["items"] else {}
            known = str(best.get("item")), best.get("score", 0.0)
            return wrong_items(found, most) or self.memory.differs(key, *known)

        return wrong

    def _make_up(self) -> Session:
        # Of a catalogue in the order of popularity, mostly the first items are looked at.
        length = min(1 + int(self.random.expovariate(0.25)), _LONGEST)
        return [1 + min(int(self.random.expovariate(0.0005)), _MOST_ITEMS - 1) for _ in range(length)]


def wrong_items(found: dict[str, Any], most: int) -> str | None:
    """What is wrong with a recommendation of at most so many items."""
    items = [each["item"] for each in found["items"]]
    scores = [each["score"] for each in found["items"] if "score" in each]
    if len(set(items)) < len(items) or len(items) > most:
        return "an item twice, or more items than asked for"
    return None if scores == sorted(scores, reverse=True) else "items in no order"
