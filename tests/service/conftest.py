from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import hypothesis
import pytest

from service.api.app import create_face
from service.api.life import Life
from service.settings import Settings
from service.tasks.limits import RequestLimits
from tests.service.caption_fakes import FakeCaptionEngine, make_captioner
from tests.service.fakes import FakeEngine, make_catalogue
from tests.service.generate_fakes import FakeComposingEngine, make_composer
from tests.service.live import TIMEOUT, serve
from tests.service.serving import served

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


@pytest.fixture
def caption_engine() -> Iterator[FakeCaptionEngine]:
    engine = FakeCaptionEngine()
    yield engine
    engine.close(drain=False)


@pytest.fixture
async def caption_client(caption_engine: FakeCaptionEngine) -> AsyncIterator[httpx.AsyncClient]:
    """A service with two captioners: `seer`, the default, and `blind`, which has no attention."""
    settings = Settings(
        max_images=4, max_image_bytes=50_000, max_upload_bytes=200_000, max_held_bytes=300_000, max_body_bytes=1000
    )
    limits = RequestLimits(image_bytes=settings.max_image_bytes)
    models = (make_captioner(caption_engine, limits=limits), make_captioner(caption_engine, "blind", attention=False))
    async with served(models, settings) as client:
        yield client


@pytest.fixture
def composing_engine() -> Iterator[FakeComposingEngine]:
    engine = FakeComposingEngine()
    yield engine
    engine.close(drain=False)


@pytest.fixture
async def composer_client(composing_engine: FakeComposingEngine) -> AsyncIterator[httpx.AsyncClient]:
    """A service with two models that go on from prompts: `texts`, whose texts have no end, and `tunes`, the default."""
    settings = Settings(max_items=4, max_characters=200, cors_origins=("https://page.example",))
    limits = RequestLimits(characters=settings.max_characters)
    texts = make_composer(composing_engine, "texts", notation="text", ends=False, limits=limits)
    models = (make_composer(composing_engine, limits=limits), texts)
    async with served(models, settings, {"generate": "tunes"}) as client:
        yield client


@pytest.fixture(scope="module")
def live_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real service process."""
    with serve(tmp_path_factory.mktemp("home")) as (_, url):
        yield url


@pytest.fixture
async def live_client(live_url: str) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(base_url=live_url, timeout=TIMEOUT, limits=limits) as client:
        yield client
