"""Tags of words and the entities they spell: B- begins an entity, I- goes on with it, O is outside.

Ramshaw and Marcus 1995, in the form of Tjong Kim Sang 2002.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from contract.viterbi import Array, best_path, marginals

FORBIDDEN = -1e4
"""Score of what must not be: next to it any emission is small, and no sum of such scores overflows."""

OUTSIDE, BEGIN, INSIDE = "O", "B-", "I-"


@dataclass(frozen=True)
class Entity:
    """A named entity: characters `start` to `end` (exclusive) of a text, and how sure the model is of it (0 to 1)."""

    label: str
    start: int
    end: int
    text: str
    score: float


@dataclass(frozen=True)
class TagSet:
    """Tags in the order of a model's emissions, and the scores of their sequences.

    Args:
        tags: O, and for each label its B- and its I-.
        start: `[tags]`, score of a first tag.
        transitions: `[tags, tags]`, score of going from one tag (rows) to the next (columns).
        end: `[tags]`, score of a last tag.

    What BIO forbids (an I- that does not go on with an entity of its label) scores `FORBIDDEN`, whatever is given.

    Raises:
        ValueError: tags that are not BIO, or scores of other shapes.
    """

    tags: tuple[str, ...]
    start: Array
    transitions: Array
    end: Array

    def __post_init__(self) -> None:
        check_tags(self.tags)
        size = len(self.tags)
        shapes = [np.shape(scores) for scores in (self.start, self.transitions, self.end)]
        if shapes != [(size,), (size, size), (size,)]:
            raise ValueError(f"{size} tags have scores [{size}], [{size}, {size}] and [{size}], not {shapes}")
        first, following = illegal(self.tags)
        object.__setattr__(self, "start", np.where(first, FORBIDDEN, self.start))
        object.__setattr__(self, "transitions", np.where(following, FORBIDDEN, self.transitions))
        object.__setattr__(self, "end", np.asarray(self.end, np.float64))

    @classmethod
    def of_labels(cls, labels: Sequence[str]) -> Self:
        """O and the two tags of each label; every legal sequence scores 0."""
        return cls.of_tags((OUTSIDE, *(f"{prefix}{label}" for label in labels for prefix in (BEGIN, INSIDE))))

    @classmethod
    def of_tags(cls, tags: Sequence[str]) -> Self:
        """Tags whose every legal sequence scores 0."""
        size = len(tags)
        return cls(tuple(tags), np.zeros(size), np.zeros((size, size)), np.zeros(size))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a JSON file.

        Raises:
            ValueError: it does not hold a set of tags.
        """
        try:
            content = json.loads(path.read_text("utf-8"))
            scores = (np.asarray(content[name], np.float64) for name in ("start", "transitions", "end"))
            return cls(tuple(content["tags"]), *scores)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: not a set of tags ({error})") from error

    def save(self, path: Path) -> None:
        """Write the JSON file."""
        scores = {name: getattr(self, name).round(6).tolist() for name in ("start", "transitions", "end")}
        path.write_text(json.dumps({"tags": self.tags, **scores}) + "\n", "utf-8")

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Labels of entities, in the order of their tags."""
        return tuple(tag.removeprefix(BEGIN) for tag in self.tags if tag.startswith(BEGIN))

    def decode(self, emissions: NDArray[Any]) -> tuple[list[int], Array]:
        """The best tags of a sentence and the marginal probability of each, `[words]`: `emissions [words, tags]`."""
        scores = self.start, self.transitions, self.end
        path = best_path(emissions, *scores)
        return path, marginals(emissions, *scores)[np.arange(len(path)), path]

    def entities(self, emissions: NDArray[Any], text: str, offsets: Sequence[tuple[int, int]]) -> list[Entity]:
        """Entities of a text in order, from the emissions of its words `[words, tags]` and where these stand."""
        if not offsets:
            return []
        path, probabilities = self.decode(emissions)
        sureness = probabilities.tolist()
        found = []
        for label, first, last in spans([self.tags[tag] for tag in path]):
            start, end = offsets[first][0], offsets[last - 1][1]
            found.append(Entity(label, start, end, text[start:end], sum(sureness[first:last]) / (last - first)))
        return found


def spans(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """Label, first word and last word (exclusive) of every entity of a legal sequence of tags."""
    found = []
    begun = 0
    for index, (tag, following) in enumerate(zip(tags, [*tags, OUTSIDE][1:], strict=True)):
        if tag.startswith(BEGIN):
            begun = index
        if tag != OUTSIDE and not following.startswith(INSIDE):
            found.append((tag[2:], begun, index + 1))
    return found


def check_tags(tags: Sequence[str]) -> None:
    """Raise ValueError unless the tags are those of BIO: O, and for each label both B- and I-, each once."""
    labels = {tag[2:] for tag in tags if tag != OUTSIDE}
    wanted = {OUTSIDE, *(f"{prefix}{label}" for label in labels for prefix in (BEGIN, INSIDE))}
    if sorted(tags) != sorted(wanted) or "" in labels:
        raise ValueError(f"tags must be O and, for each label, B-label and I-label, each once; not {', '.join(tags)}")


def illegal(tags: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which tags may not be first `[tags]`, and which may not follow which `[tags, tags]`."""
    inside = [tag.startswith(INSIDE) for tag in tags]
    following = [[begun and before[2:] != tag[2:] for tag, begun in zip(tags, inside, strict=True)] for before in tags]
    return np.array(inside), np.array(following)
