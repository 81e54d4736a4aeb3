"""What everybody has in common who asks a service for something."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from random import Random

from loadtest.traffic.material import Material
from loadtest.traffic.memory import Memory
from loadtest.traffic.question import Question


class Asker(ABC):
    """Draws questions of one task: mostly single items, some lists.

    `limits` are those of the model that answers, as `/v1/models` tells them: largest size by axis.
    """

    def __init__(self, material: Material, memory: Memory, random: Random, limits: Mapping[str, int]) -> None:
        self.material, self.memory, self.random, self.limits = material, memory, random, limits

    def draw(self) -> Question:
        """The next question."""
        kinds = self.kinds()
        (ask,) = self.random.choices(list(kinds), list(kinds.values()))
        return ask()

    @abstractmethod
    def kinds(self) -> Mapping[Callable[[], Question], int]:
        """Ways to ask, and how often each is taken, relative to the others."""
