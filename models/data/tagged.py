"""Readers for text with marked entities: columns (CoNLL) and JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from contract.signature import Frozen
from models.data.lines import DataError, carve, read_lines

Span = tuple[str, int, int]
"""An entity: label, first character and last character (exclusive) of the text."""

DOCUMENT = "-DOCSTART-"
_BEGINS = {"B": True, "S": True, "I": False, "E": False}
"""Whether a tag of that prefix begins an entity; others do so where there is none of their label to go on with."""


@dataclass(frozen=True)
class TaggedText:
    """A text and the entities in it, in order and without overlaps; `source` tells texts of one document."""

    text: str
    spans: tuple[Span, ...]
    source: str


class Columns(Frozen):
    """A file with a word and its tag on each line and an empty line between sentences, as CoNLL has them.

    Columns are parted by tabs or spaces and counted from 0, or from the end if negative. Tags are BIO, IOB1 or BIOES.
    Documents may be parted by lines that begin with -DOCSTART-.
    """

    columns: str = Field(description="file name")
    word: int = 0
    tag: int = -1
    joiner: str = Field(default=" ", description="what stands between two words of a text; empty for Chinese")


class JsonLines(Frozen):
    """A file with one JSON object a line.

    `{"text": …, "entities": [{"label", "start", "end"}]}`, as the service replies, or as CLUENER has it: `{"text": …,
    "label": {label: {entity: [[start, end included], …]}}}`. Of entities that overlap the longest is kept.
    """

    jsonl: str = Field(description="file name")


Files = Columns | JsonLines


def read_tagged(files: Files, root: Path) -> list[TaggedText]:
    """All texts of one split; paths are relative to `root`.

    Raises:
        DataError: a missing file, a line that is not what it should be, or no text at all.
    """
    if isinstance(files, Columns):
        path = root / files.columns
        texts = list(_read_columns(files, path))
    else:
        path = root / files.jsonl
        texts = [_read_object(line, f"{path}:{number}") for number, line in enumerate(read_lines(path), 1) if line]
    if not texts:
        raise DataError(f"{path}: no examples")
    return texts


def carve_tagged(texts: list[TaggedText]) -> tuple[list[TaggedText], list[TaggedText]]:
    """Training and validation parts of a set without a validation split; a document stays whole."""
    return carve(texts, lambda text: text.source)


def labels(texts: Iterable[TaggedText]) -> list[str]:
    """Labels that occur, sorted."""
    return sorted({label for text in texts for label, _, _ in text.spans})


def _read_columns(files: Columns, path: Path) -> Iterator[TaggedText]:
    words: list[tuple[str, str]] = []
    document = ""
    marked = fresh = False
    for number, line in enumerate((*read_lines(path), ""), 1):
        if line.startswith(DOCUMENT):
            marked = fresh = True
        elif line.strip():
            words.append(_word_and_tag(line, files, f"{path}:{number}"))
        elif words:
            text, spans = _join(words, files.joiner)
            # A document goes by its first sentence; where none are marked, every sentence stands for itself.
            document = text if fresh or not marked else document
            fresh = False
            yield TaggedText(text, spans, document)
            words = []


def _word_and_tag(line: str, files: Columns, place: str) -> tuple[str, str]:
    cells = line.split("\t") if "\t" in line else line.split()
    for name, column in (("word", files.word), ("tag", files.tag)):
        if not -len(cells) <= column < len(cells):
            raise DataError(f"{place}: {len(cells)} columns, column {column} is asked for as the {name}")
    word, tag = cells[files.word].strip(), cells[files.tag].strip()
    if not word:
        raise DataError(f"{place}: the word is empty")
    if tag != "O" and (tag[:1] not in _BEGINS or tag[1:2] != "-" or not tag[2:]):
        raise DataError(f"{place}: the tag {tag!r} is neither O nor B-, I-, E- or S- with a label")
    return word, tag


def _join(words: list[tuple[str, str]], joiner: str) -> tuple[str, tuple[Span, ...]]:
    spans: list[Span] = []
    position, before = 0, "O"
    for word, tag in words:
        end = position + len(word)
        if tag != "O":
            label = tag[2:]
            if _BEGINS[tag[0]] or before[2:] != label:
                spans.append((label, position, end))
            else:
                spans[-1] = (label, spans[-1][1], end)
        position, before = end + len(joiner), tag
    return joiner.join(word for word, _ in words), tuple(spans)


def _read_object(line: str, place: str) -> TaggedText:
    try:
        content = json.loads(line)
    except ValueError as error:
        raise DataError(f"{place}: not JSON ({error})") from error
    if not isinstance(content, dict) or not isinstance(content.get("text"), str) or not content["text"].strip():
        raise DataError(f"{place}: not an object with a text")
    text = content["text"]
    try:
        found = _entities(content) if "entities" in content else _cluener(content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{place}: neither a list 'entities' nor 'label' as CLUENER has it ({error})") from error
    for label, start, end, surface in found:
        if not 0 <= start < end <= len(text) or text[start:end] != surface:
            raise DataError(f"{place}: characters {start} to {end} are no {label} {surface!r} of this text")
    return TaggedText(text, _without_overlaps([(label, start, end) for label, start, end, _ in found]), text)


def _entities(content: dict[str, Any]) -> list[tuple[str, int, int, str]]:
    spans = [(str(each["label"]), int(each["start"]), int(each["end"])) for each in content["entities"]]
    return [(label, start, end, content["text"][start:end]) for label, start, end in spans]


def _cluener(content: dict[str, Any]) -> list[tuple[str, int, int, str]]:
    return [
        (label, int(start), int(last) + 1, surface)
        for label, surfaces in content["label"].items()
        for surface, places in surfaces.items()
        for start, last in places
    ]


def _without_overlaps(spans: list[Span]) -> tuple[Span, ...]:
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span[1] - span[2], span)):
        if all(span[2] <= other[1] or other[2] <= span[1] for other in kept):
            kept.append(span)
    return tuple(sorted(kept, key=lambda span: span[1]))
