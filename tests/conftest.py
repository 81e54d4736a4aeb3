from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "tests.battery", "tests.image_battery", "tests.predict_battery", "tests.recommend_battery", "tests.rollout"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-variants",
        action="store_true",
        help="run the architectures' battery on every combination of variants instead of a pairwise set",
    )
