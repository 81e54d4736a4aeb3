from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.bench.corpus import Corpus
from loadtest.bench.engine import open_on_one_core
from service.runtime.bundle import Bundle

DATA = Path(__file__).resolve().parent.parent / "data"


@pytest.fixture(scope="session")
def tiny() -> Path:
    return DATA / "bundles" / "v1" / "tiny-en-de"


@pytest.fixture(scope="session")
def bundle(tiny: Path) -> Bundle:
    return open_on_one_core(tiny, "fp32")


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    sources, references = (
        (DATA / "parallel" / f"test.{side}").read_text("utf-8").splitlines() for side in ("en", "de")
    )
    return Corpus("tiny", "test", sources, references)
