"""The closed list of axis names.

An axis of a declared tensor is either one of these names (its size varies between calls) or an integer (its size
is fixed by the model). The runtime pads, batches and allocates by name alone: it never asks what kind of network
it is running.
"""

from __future__ import annotations

from typing import Literal, get_args

DynamicAxis = Literal[
    "rows",
    "source",
    "target",
    "sentences",
    "words",
    "characters",
    "items",
    "layers",
    "heads",
    "hops",
    "filters",
    "channels",
    "height",
    "width",
    "k",
]
"""Axes whose size varies between calls. `rows` is axis 0 of every tensor but a scalar."""

Axis = DynamicAxis | int
"""A named axis of varying size, or the constant size of an axis that the model fixes."""

NAMES: tuple[str, ...] = get_args(DynamicAxis)
