"""The garbage collector of a process that holds models for long."""

from __future__ import annotations

import ctypes
import gc

_THRESHOLD = 50_000
"""Objects. BentoML keeps some of every request until its timeout, and the usual 700 would walk them all the time."""


def settle_heap() -> None:
    """Have the collector never look again at what is loaded: it takes some 100 ms, in which no request is served.

    Nor is that needed when a model is closed. Models are free of cycles: they go when nobody holds them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_THRESHOLD, 20, 20)


def give_back() -> None:
    """Return freed memory to the system. glibc keeps it, and over many versions of a model it adds up. Blocking."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
