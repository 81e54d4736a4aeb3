"""The other workers of a service."""

from __future__ import annotations

import os

import psutil
from bentoml.serving import running_inside_container


def is_missed(workers: int) -> bool:
    """Whether a worker has died that nobody starts again.

    BentoML's supervisor starts a dead worker again, but not in a container, where it leaves that to the orchestrator.
    """
    if workers == 1 or not running_inside_container():
        return False
    children = psutil.Process(os.getppid()).children()
    return sum(child.status() != psutil.STATUS_ZOMBIE for child in children) < workers
