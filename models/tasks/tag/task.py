"""Tagging as a training task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from contract.manifest import Limits
from contract.preprocessing import TagPreprocessing
from contract.rows import Array, Row
from contract.tags import TagSet
from models.architecture import Architecture
from models.data.tagged import TaggedText, labels
from models.data.words import train_words
from models.registry import ConfigError
from models.tagger import CHARACTER_INPUTS, TAGS, WORD_INPUTS, Tagger
from models.tasks.tag import vocabulary as files
from models.tasks.tag.config import TagConfig
from models.tasks.tag.data import NoisyRows, encode, labelled_row, read_split
from models.tasks.tag.module import TagModule
from models.tasks.tag.scores import entity_scores
from models.tasks.tag.vocabulary import Vocabulary
from models.training.config import Split
from models.training.data import RowData
from models.training.run import Run
from models.training.task import OneShotTask


class TagTask(OneShotTask[TagConfig, Vocabulary]):
    """Entities in text with any tagger."""

    config = TagConfig
    scores = ("f1",)
    titles: ClassVar[Mapping[str, str]] = {"f1": "entity F1"}
    files = (files.WORDS, files.TAGS)

    def learn(self, config: TagConfig, root: Path) -> Vocabulary:
        texts = read_split(config.data, root, "train")
        words = train_words([text.text for text in texts], config.words)
        return Vocabulary(words, TagSet.of_labels(labels(texts)))

    def load(self, folder: Path) -> Vocabulary:
        return Vocabulary.load(folder)

    def sizes(self, config: TagConfig, vocabulary: Vocabulary) -> dict[str, Any]:
        characters = vocabulary.words.characters
        return {
            "source_vocabulary_size": vocabulary.words.vocabulary_size,
            "character_vocabulary_size": characters.size if characters else 0,
            "tags": vocabulary.tags.tags,
        }

    def data(self, config: TagConfig, vocabulary: Vocabulary, root: Path) -> RowData:
        train, validation = (
            [labelled_row(text, vocabulary, config.data.max_length) for text in read_split(config.data, root, split)]
            for split in ("train", "validation")
        )
        inputs = WORD_INPUTS if vocabulary.words.characters is None else (*WORD_INPUTS, *CHARACTER_INPUTS)
        return RowData(
            (*inputs, TAGS),
            NoisyRows(train, config.training.rare_dropout, config.seed),
            validation,
            batch_tokens=config.training.batch_tokens,
            seed=config.seed,
        )

    def module(self, model: Architecture, config: TagConfig, vocabulary: Vocabulary, total_steps: int) -> TagModule:
        if not isinstance(model, Tagger):
            raise ConfigError(f"architecture {config.architecture_name!r} is not a tagger: it gives no tags to words")
        return TagModule(model, config.training, seed=config.seed, total_steps=total_steps)

    def examples(self, run: Run[TagConfig, Vocabulary], split: Split) -> Sequence[TaggedText]:
        return read_split(run.config.data, run.root, split)

    def inputs(self, run: Run[TagConfig, Vocabulary], example: Any) -> Row:
        encoding = encode(example.text, run.vocabulary, run.config.data.max_length)
        return run.vocabulary.words.inputs(example.text, encoding)

    def random_inputs(
        self, run: Run[TagConfig, Vocabulary], sizes: Mapping[str, int], generator: np.random.Generator
    ) -> Row:
        words, characters = run.vocabulary.words, run.vocabulary.words.characters
        length = sizes["source"]
        row = {
            "source_ids": generator.integers(1, words.vocabulary_size, length),
            "source_lengths": np.array(length, np.int64),
        }
        if characters is None:
            return row
        counts = generator.integers(1, sizes["characters"] + 1, length)
        counts[generator.integers(length)] = sizes["characters"]
        ids = generator.integers(1, characters.size, (length, sizes["characters"]))
        ids[np.arange(sizes["characters"]) >= counts[:, None]] = 0
        return {**row, "character_ids": ids, "character_counts": counts}

    def metrics(
        self, run: Run[TagConfig, Vocabulary], outputs: Sequence[Mapping[str, Array]], examples: Sequence[Any]
    ) -> dict[str, float]:
        """Scores of entities by their characters in the whole text, so that words cut off or split wrongly count."""
        assert isinstance(run.model, Tagger)
        tag_set, longest = run.model.tag_set(), run.config.data.max_length
        predicted = []
        for output, example in zip(outputs, examples, strict=True):
            offsets = encode(example.text, run.vocabulary, longest).offsets
            entities = tag_set.entities(output["emissions"], example.text, offsets)
            predicted.append([(entity.label, entity.start, entity.end) for entity in entities])
        return entity_scores(predicted, [example.spans for example in examples])

    def preprocessing(self, run: Run[TagConfig, Vocabulary], folder: Path) -> TagPreprocessing:
        assert isinstance(run.model, Tagger)
        words = run.vocabulary.words
        Vocabulary(words, run.model.tag_set()).save(folder)
        characters = files.CHARACTERS if words.characters else None
        return TagPreprocessing(
            tokenizer=files.WORDS, characters=characters, tags=files.TAGS, language=run.config.data.language
        )

    def limits(self, run: Run[TagConfig, Vocabulary]) -> Limits:
        return Limits(source=run.config.data.max_length, characters=run.vocabulary.words.longest_word)

    def vocabulary_size(self, run: Run[TagConfig, Vocabulary]) -> int:
        return run.vocabulary.words.vocabulary_size
