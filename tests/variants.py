"""Variants of an architecture: every combination of its axes, or a small set that holds every pair of values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations, product
from typing import Any

Fields = dict[str, Any]
Pair = tuple[tuple[str, Any], tuple[str, Any]]


def every(axes: Mapping[str, Sequence[Any]], valid: Callable[[Fields], bool]) -> list[Fields]:
    """All valid combinations of one value for each axis."""
    combined = (dict(zip(axes, values, strict=True)) for values in product(*axes.values()))
    return [fields for fields in combined if valid(fields)]


def pairwise(axes: Mapping[str, Sequence[Any]], valid: Callable[[Fields], bool]) -> list[Fields]:
    """Valid combinations such that any two values of two axes that can meet at all meet in one of them.

    Greedy and repeatable: the next combination is the first of those that hold the most pairs not yet seen.
    """
    if len(axes) < 2:
        return every(axes, valid)
    candidates = [(fields, pairs(fields)) for fields in every(axes, valid)]
    missing = set().union(*(held for _, held in candidates))
    chosen: list[Fields] = []
    while missing:
        fields, held = max(candidates, key=lambda candidate: len(candidate[1] & missing))
        chosen.append(fields)
        missing -= held
    return chosen


def pairs(fields: Fields) -> frozenset[Pair]:
    """Every pair of (axis, value) that the fields hold."""
    return frozenset(combinations(fields.items(), 2))


def label(fields: Mapping[str, Any]) -> str:
    """A short id for a test's name: values, and names of those that are switches or numbers."""
    return "-".join(_words(fields.items())) or "default"


def _words(items: Iterable[tuple[str, Any]]) -> Iterable[str]:
    for name, value in items:
        if isinstance(value, str):
            yield value
        elif value is not False:
            yield name if value is True else f"{name}={value}"
