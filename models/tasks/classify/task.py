"""Classification as a training task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from contract.manifest import Limits
from contract.preprocessing import LabelPreprocessing
from contract.rows import Array, Row
from contract.signature import Tensor
from models.architecture import Architecture
from models.classifier import DOCUMENT_INPUTS, FLAT_INPUTS, Classifier
from models.data.input_tokenizer import train_input_codec
from models.data.labelled import Labelled
from models.registry import ConfigError
from models.tasks.classify.config import ClassifyConfig
from models.tasks.classify.data import LABELS, TOKENIZER, ReadingVocabulary, encode_texts, label_names, read_split
from models.tasks.classify.module import ClassifyModule
from models.training.config import Split
from models.training.data import RowData
from models.training.run import Run
from models.training.task import OneShotTask, check_positions

LABEL = Tensor(name="labels", dtype="int64", axes=("rows",))
ClassifyRun = Run[ClassifyConfig, ReadingVocabulary]


class ClassifyTask(OneShotTask[ClassifyConfig, ReadingVocabulary]):
    """Text to one of a few labels with any classifier."""

    config = ClassifyConfig
    scores = ("accuracy",)
    titles: ClassVar[Mapping[str, str]] = {"macro_f1": "macro F1"}
    files = (TOKENIZER, LABELS)

    def learn(self, config: ClassifyConfig, root: Path) -> ReadingVocabulary:
        examples = read_split(config.data, root, "train")
        if config.pretrained is not None:
            codec = config.pretrained.load_text().codec
        else:
            codec = train_input_codec((example.text for example in examples), config.tokenizer)
        return ReadingVocabulary(codec, label_names(config.data, examples))

    def load(self, folder: Path) -> ReadingVocabulary:
        return ReadingVocabulary.load(folder)

    def sizes(self, config: ClassifyConfig, vocabulary: ReadingVocabulary) -> dict[str, Any]:
        return {"vocabulary_size": vocabulary.codec.vocabulary_size, "label_count": len(vocabulary.labels)}

    def data(self, config: ClassifyConfig, vocabulary: ReadingVocabulary, root: Path) -> RowData:
        train, validation = (
            self._labelled_rows(config, vocabulary, read_split(config.data, root, split))
            for split in ("train", "validation")
        )
        return RowData(
            (*_inputs(config), LABEL),
            lambda _epoch: train,
            validation,
            batch_tokens=config.training.batch_tokens,
            seed=config.seed,
        )

    def module(
        self, model: Architecture, config: ClassifyConfig, vocabulary: ReadingVocabulary, total_steps: int
    ) -> ClassifyModule:
        if not isinstance(model, Classifier):
            raise ConfigError(f"architecture {config.architecture_name!r} is not a classifier")
        if model.inputs != _inputs(config):
            fix = "leave data.documents out" if config.data.documents else "set data.documents"
            reads = "sentences of words" if model.inputs == DOCUMENT_INPUTS else "a text as one sequence"
            raise ConfigError(f"architecture {config.architecture_name!r} reads {reads}: {fix}")
        check_positions(model, config.data.max_length)
        return ClassifyModule(model, config.training, seed=config.seed, total_steps=total_steps)

    def initialise(self, model: Architecture, config: ClassifyConfig, root: Path) -> None:
        if config.pretrained is not None:
            config.pretrained.load().give(model)

    def examples(self, run: ClassifyRun, split: Split) -> list[Labelled]:
        return read_split(run.config.data, run.root, split)

    def inputs(self, run: ClassifyRun, example: Labelled) -> Row:
        return encode_texts([example.text], run.vocabulary.codec, run.config.data)[0]

    def random_inputs(self, run: ClassifyRun, sizes: Mapping[str, int], generator: np.random.Generator) -> Row:
        ids, *counts = _inputs(run.config)
        shape = [sizes[str(axis)] for axis in ids.axes[1:]]
        row = {ids.name: generator.integers(1, self.vocabulary_size(run), shape)}
        for depth, count in enumerate(reversed(counts)):
            row[count.name] = np.full(shape[:depth], shape[depth], np.int64)
        return row

    def metrics(
        self, run: ClassifyRun, outputs: Sequence[Mapping[str, Array]], examples: Sequence[Labelled]
    ) -> dict[str, float]:
        """Accuracy, and the mean over labels of their F1."""
        labels = run.vocabulary.labels
        confusion = np.zeros((len(labels), len(labels)), np.int64)
        for output, example in zip(outputs, examples, strict=True):
            confusion[run.vocabulary.index(example.label), int(output["scores"].argmax())] += 1
        right = confusion.diagonal()
        f1 = 2 * right / np.maximum(confusion.sum(axis=0) + confusion.sum(axis=1), 1)
        return {"accuracy": 100 * right.sum() / len(examples), "macro_f1": 100 * float(f1.mean())}

    def preprocessing(self, run: ClassifyRun, folder: Path) -> LabelPreprocessing:
        run.vocabulary.codec.save(folder / TOKENIZER)
        data = run.config.data
        return LabelPreprocessing(
            tokenizer=TOKENIZER,
            labels=run.vocabulary.labels,
            sentences=data.documents is not None,
            language=data.language,
        )

    def limits(self, run: ClassifyRun) -> Limits:
        documents = run.config.data.documents
        if documents is None:
            return Limits(source=run.config.data.max_length)
        return Limits(sentences=documents.sentences, words=documents.words)

    def vocabulary_size(self, run: ClassifyRun) -> int:
        return run.vocabulary.codec.vocabulary_size

    @staticmethod
    def _labelled_rows(
        config: ClassifyConfig, vocabulary: ReadingVocabulary, examples: list[Labelled]
    ) -> list[dict[str, Array]]:
        rows = encode_texts([example.text for example in examples], vocabulary.codec, config.data)
        labels = [np.array(vocabulary.index(example.label), np.int64) for example in examples]
        return [{**row, LABEL.name: label} for row, label in zip(rows, labels, strict=True)]


def _inputs(config: ClassifyConfig) -> tuple[Tensor, ...]:
    return DOCUMENT_INPUTS if config.data.documents else FLAT_INPUTS
