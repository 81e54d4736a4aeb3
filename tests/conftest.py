from __future__ import annotations

import gc
import os

import hypothesis
import pytest

# The models of tests are so small that threads cost more than they bring, and each worker of the tests has its core.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes is told by what else the cores do.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")

pytest.register_assert_rewrite(
    "tests.battery", "tests.image_battery", "tests.predict_battery", "tests.recommend_battery", "tests.rollout"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-variants",
        action="store_true",
        help="run the architectures' battery on every combination of variants instead of a pairwise set",
    )


def pytest_collection_finish() -> None:
    """Keep the collector from walking libraries and collected tests: it took a fifth of the time of an export."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
