from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from contract.rows import axis_sizes, pad_rows
from contract.tags import TagSet
from contract.words import WordCodec
from models.data.tagged import TaggedText
from models.registry import ConfigError
from models.tasks.tag import TASK
from models.tasks.tag.config import TagConfig
from models.tasks.tag.vocabulary import Vocabulary
from models.training.config import Hardware
from models.training.report import read_metrics
from models.training.run import Run, load_run
from models.training.task import parse_config
from models.training.trainer import train

DATA = Path(__file__).parents[3] / "data"


def tiny(**sections: Any) -> TagConfig:
    fields = {
        "name": "tiny",
        "task": "tag",
        "architecture": {
            "name": "recurrent_tagger",
            "embedding_size": 24,
            "hidden_size": 24,
            "character_size": 16,
            "dropout": 0.2,
        },
        "data": {
            "train": {"columns": "tagged/train.conll"},
            "validation": {"columns": "tagged/test.conll"},
            "test": {"columns": "tagged/test.conll"},
            "max_length": 40,
            "language": "en",
        },
        "training": {"epochs": 12, "batch_tokens": 600, "warmup_steps": 5, "learning_rate": 0.02, "average_decay": 0},
    }
    config = parse_config(fields | sections, "tiny")
    assert isinstance(config, TagConfig)
    return config


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run[TagConfig, Vocabulary]:
    """A tagger that has learnt made-up news for a few seconds."""
    path = train(tiny(), DATA, tmp_path_factory.mktemp("runs"), hardware=Hardware(accelerator="cpu"), progress=False)
    return load_run(path, DATA)


def test_it_learns_and_reports_its_score(run: Run[TagConfig, Vocabulary]) -> None:
    rows = read_metrics(run.path)
    assert rows[-1]["train_loss"] < rows[0]["train_loss"] / 4
    best = max(row["validation_f1"] for row in rows)
    assert best > 90
    scores = TASK.evaluate(run, "test")
    assert list(scores) == ["run", "split", "examples", "f1", "precision", "recall"]
    # Counted by characters in evaluation and by words in training, over the same texts.
    assert scores["f1"] == pytest.approx(best, abs=0.01)


def test_entities_come_with_their_places_in_plain_prose(run: Run[TagConfig, Vocabulary]) -> None:
    text = "Ada Brook (Elm Bay) beat Tom Vale 6-4 7-5."
    row = TASK.inputs(run, TaggedText(text, (), ""))
    batch = pad_rows(run.model.signature.inputs, [row])
    with torch.no_grad():
        emissions = run.model({name: torch.from_numpy(array) for name, array in batch.items()})["emissions"][0].numpy()
    entities = run.model.tag_set().entities(emissions, text, run.vocabulary.words.encode(text).offsets)
    assert [(entity.label, entity.text) for entity in entities] == [
        ("PER", "Ada Brook"),
        ("LOC", "Elm Bay"),
        ("PER", "Tom Vale"),
    ]
    assert all(text[entity.start : entity.end] == entity.text for entity in entities)
    assert all(0.3 < entity.score <= 1 for entity in entities)


def test_entities_of_words_beyond_the_limit_are_missed(run: Run[TagConfig, Vocabulary]) -> None:
    text = "Nothing happened today . " * 10
    long = TaggedText(f"{text}Ada Brook", (("PER", len(text), len(text) + 9),), "")
    row = TASK.inputs(run, long)
    assert row["source_lengths"] == 40
    tags = len(run.vocabulary.tags.tags)
    scores = TASK.metrics(run, [{"emissions": np.eye(tags, dtype=np.float32)[np.zeros(40, int)]}], [long])
    assert scores["recall"] == 0


def test_a_bundle_holds_words_characters_and_learnt_scores(run: Run[TagConfig, Vocabulary], tmp_path: Path) -> None:
    written = TASK.preprocessing(run, tmp_path)
    assert sorted(written.files) == sorted(path.name for path in tmp_path.iterdir())
    assert written.language == "en"
    tags = TagSet.load(tmp_path / written.tags)
    np.testing.assert_allclose(tags.transitions, run.model.tag_set().transitions, atol=1e-6)
    assert np.ptp(tags.end) > 0
    assert written.characters is not None
    words = WordCodec.load(tmp_path / written.tokenizer, tmp_path / written.characters)
    assert words.vocabulary_size == TASK.vocabulary_size(run) == run.model.config.source_vocabulary_size
    assert TASK.limits(run).source == 40
    assert TASK.limits(run).characters == words.longest_word == 32


def test_random_inputs_have_the_sizes_asked_for(run: Run[TagConfig, Vocabulary]) -> None:
    row = TASK.random_inputs(run, {"source": 7, "characters": 5}, np.random.default_rng(1))
    assert axis_sizes(run.model.signature.inputs, row) == {"source": 7, "characters": 5}
    assert row["source_lengths"] == 7
    assert row["character_counts"].max() == 5
    assert row["character_counts"].min() >= 1
    past = np.arange(5) >= row["character_counts"][:, None]
    assert (row["character_ids"][past] == 0).all()
    assert (row["character_ids"][~past] > 0).all()


def test_a_model_without_characters_needs_no_table(tmp_path: Path) -> None:
    config = tiny(words={"characters": False}, architecture={"name": "recurrent_tagger", "characters": "none"})
    vocabulary = TASK.learn(config, DATA)
    assert TASK.sizes(config, vocabulary)["character_vocabulary_size"] == 0
    batch = next(iter(TASK.data(config, vocabulary, DATA).epoch(0)))
    assert set(batch.tensors) == {"source_ids", "source_lengths", "tags"}


def test_an_architecture_without_tags_is_refused() -> None:
    config = tiny()
    vocabulary = TASK.learn(config, DATA)
    with pytest.raises(ConfigError, match="'recurrent_tagger' is not a tagger: it gives no tags to words"):
        TASK.module(torch.nn.Linear(1, 1), config, vocabulary, 1)  # type: ignore[arg-type]
