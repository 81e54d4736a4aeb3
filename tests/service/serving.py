"""A service over models without graphs, through ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from contract.tasks import TaskName
from service.api.app import create_face
from service.api.life import Life
from service.catalogue import Catalogue
from service.kinds import Model
from service.settings import Settings


@asynccontextmanager
async def served(
    models: Iterable[Model[Any]], settings: Settings, defaults: Mapping[TaskName, str] | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service; in the end nothing may be in flight."""
    life = Life()
    life.start(Catalogue(models, dict(defaults or {})))
    transport = httpx.ASGITransport(create_face(life, settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client
    assert life.in_flight == 0
