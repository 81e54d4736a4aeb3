"""Tables in Markdown, and their places in a document that people write around them."""

from __future__ import annotations

import re
from collections.abc import Sequence


class MarkerError(ValueError):
    """A document has no place for what belongs there."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, figures: int = 0) -> str:
    """A table; its last `figures` columns hold figures and stand to the right."""
    rule = ["---"] * (len(header) - figures) + ["---:"] * figures
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def fill(document: str, mark: str, body: str) -> str:
    """The document with `body` between `<!-- MARK -->` and `<!-- /MARK -->`.

    Raises:
        MarkerError: it has no such pair of markers.
    """
    start, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(document):
        raise MarkerError(f"no place for {mark!r}: the document lacks {start} … {end}")
    return pattern.sub(lambda _: f"{start}\n{body}\n{end}", document)
