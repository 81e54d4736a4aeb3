from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import hypothesis
import pytest

from service.api.app import create_face
from service.api.life import Life
from service.settings import Settings
from tests.service.fakes import FakeEngine, make_catalogue

# `make fuzz` asks for it by name.
hypothesis.settings.register_profile("fuzz", max_examples=400)


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    engine = FakeEngine()
    yield engine
    engine.close(drain=False)


@pytest.fixture
def settings() -> Settings:
    return Settings(max_items=8, max_sentences=32, max_queue=32, max_body_bytes=200_000, body_timeout=0.2)


@pytest.fixture
def life(engine: FakeEngine) -> Life:
    life = Life()
    life.start(make_catalogue(engine))
    return life


@pytest.fixture
async def client(life: Life, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_face(life, settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client
