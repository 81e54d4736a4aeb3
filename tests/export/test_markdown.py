from __future__ import annotations

import pytest

from export.markdown import MarkerError, fill, table


def test_figures_stand_to_the_right() -> None:
    assert table(("a", "b"), [("x", "1"), ("y", "2")], figures=1) == "| a | b |\n| --- | ---: |\n| x | 1 |\n| y | 2 |"
    assert table(("a", "b"), []) == "| a | b |\n| --- | --- |"


def test_a_place_is_filled_again_and_again() -> None:
    document = "before\n<!-- m:a -->old<!-- /m:a -->\n<!-- m:b -->kept<!-- /m:b -->\n"
    filled = fill(document, "m:a", r"new \1")
    assert filled == "before\n<!-- m:a -->\nnew \\1\n<!-- /m:a -->\n<!-- m:b -->kept<!-- /m:b -->\n"
    assert fill(filled, "m:a", r"new \1") == filled


def test_a_place_that_is_not_there_is_told() -> None:
    with pytest.raises(MarkerError, match="no place for 'm:c': the document lacks <!-- m:c --> … <!-- /m:c -->"):
        fill("<!-- m:a --><!-- /m:a -->", "m:c", "body")
