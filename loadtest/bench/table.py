"""A table, shown on a terminal or written as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table as RichTable

from export.markdown import table


@dataclass(frozen=True)
class Table:
    """Rows of text under a caption; the first column holds names, the others figures."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """As Markdown, figures to the right."""
        return f"{self.caption}:\n\n{table(self.columns, self.rows, figures=len(self.columns) - 1)}"

    def rich(self) -> RichTable:
        """For the terminal."""
        shown = RichTable(title=self.caption, title_justify="left")
        for index, column in enumerate(self.columns):
            shown.add_column(column, justify="right" if index else "left")
        for row in self.rows:
            shown.add_row(*row)
        return shown
