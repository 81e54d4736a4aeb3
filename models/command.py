"""What the commands over runs have in common: threads, and faults of a user told in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from models.data.lines import DataError
from models.registry import ConfigError


def use_threads(threads: int | None) -> None:
    """Compute on so many CPU threads; None leaves it to PyTorch."""
    if threads is not None:
        torch.set_num_threads(threads)


def run_command(app: Callable[[], Any], *errors: type[Exception]) -> None:
    """Run a command; faults of a config, of data and of other kinds named end it with one line, not a traceback."""
    faults: tuple[type[Exception], ...] = (ConfigError, DataError, *errors)
    try:
        app()
    except faults as error:
        raise SystemExit(f"error: {error}") from error
