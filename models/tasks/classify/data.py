"""Examples of each split, the vocabulary learnt from them, and the rows that a model reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from contract.inputs import document_row, text_row
from contract.rows import Row
from contract.sentences import encode_document
from contract.text import InputCodec
from models.data.labelled import Labelled, LabelledTable, carve, read_labelled, without, without_parts
from models.registry import ConfigError
from models.tasks.classify.config import DocumentSizes, LabelledData
from models.training.config import Split
from models.training.data import read_part

TOKENIZER, LABELS = "tokenizer.json", "labels.json"


@dataclass(frozen=True)
class ReadingVocabulary:
    """The tokens that a model reads and the labels that it chooses from, in the order of its scores."""

    codec: InputCodec
    labels: tuple[str, ...]

    @classmethod
    def load(cls, folder: Path) -> ReadingVocabulary:
        """Read it from a run folder."""
        return cls(InputCodec.load(folder / TOKENIZER), tuple(json.loads((folder / LABELS).read_text("utf-8"))))

    def save(self, folder: Path) -> None:
        """Write it into a run folder."""
        self.codec.save(folder / TOKENIZER)
        (folder / LABELS).write_text(json.dumps(self.labels, ensure_ascii=False) + "\n", "utf-8")

    def index(self, label: str) -> int:
        """Place of a label among the model's scores.

        Raises:
            ConfigError: the training data do not have it.
        """
        if label not in self.labels:
            raise ConfigError(f"label {label!r} does not occur in the training data: {', '.join(self.labels)}")
        return self.labels.index(label)


def read_split(data: LabelledData, root: Path, split: Split) -> list[Labelled]:
    """The examples of one split; validation is carved from the training set where the config names none.

    Raises:
        ConfigError: the config names no files for the split.
        DataError: a file is missing or broken.
    """
    if split == "train":
        return _training_examples(data, root)
    return read_part(data, split, lambda table: _read(data, table, root), carve)


def label_names(data: LabelledData, examples: list[Labelled]) -> tuple[str, ...]:
    """Labels in the order of the model's scores.

    Raises:
        ConfigError: there are fewer than two.
    """
    names = tuple(dict.fromkeys(data.labels.values())) or tuple(sorted({example.label for example in examples}))
    if len(names) < 2:
        raise ConfigError(f"a classifier needs two labels or more, the training data have {', '.join(names)}")
    return names


def encode_texts(texts: list[str], codec: InputCodec, data: LabelledData) -> list[Row]:
    """What the model reads of each text, cut to the config's limits."""
    if data.documents is not None:
        return [_document(text, codec, data.documents, data.language) for text in texts]
    return [text_row(codec.truncate_ids(ids, data.max_length)) for ids in codec.encode_batch(texts)]


def _document(text: str, codec: InputCodec, sizes: DocumentSizes, language: str | None) -> Row:
    sentences = encode_document(text, codec, sizes.words, language)[: sizes.sentences]
    return document_row([sentence.ids for sentence in sentences])


def _training_examples(data: LabelledData, root: Path) -> list[Labelled]:
    kept = _read(data, data.train, root)
    held_out: list[Labelled] = []
    if data.validation is None:
        kept, held_out = carve(kept)
    if data.more is not None:
        kept += without_parts(_read(data, data.more, root), held_out, kept)
    if data.drop_leaked:
        for table in (data.validation, data.test):
            kept = without(kept, _read(data, table, root)) if table else kept
    return kept


def _read(data: LabelledData, table: LabelledTable, root: Path) -> list[Labelled]:
    return read_labelled(table, root, data.labels, data.line_break)
