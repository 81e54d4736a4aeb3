"""An answerer from its YAML to its scores, on the stories of the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from contract.manifest import Limits
from contract.preprocessing import StoryPreprocessing
from contract.rows import axis_sizes
from contract.text import UNK, InputCodec
from models.answerer import FIRST_ANSWER
from models.data.lines import DataError
from models.data.stories import Asked, Question, Story
from models.registry import ConfigError
from models.tasks.answer import TASK
from models.tasks.answer.config import AnswerConfig
from models.tasks.answer.data import UNKNOWN, StoryBatches, StoryEncoder
from models.tasks.answer.module import AnswerModule
from models.tasks.answer.vocabulary import StoryVocabulary
from models.training.config import Hardware
from models.training.data import RowBatch
from models.training.report import read_metrics
from models.training.run import Run, load_run, new_model
from models.training.task import parse_config
from models.training.trainer import train

DATA = Path(__file__).parents[3] / "data" / "stories"
STORIES = [
    Story("t", ("Ada took the Cup.", "She's an X-ray!"), (Asked(1, "Who?", "Ada"), Asked(2, "What?", "cup,hat"))),
    Story("t", ("Été, l'été.",), (Asked(1, "Who?", "ada"),)),
]


def config(**sections: Any) -> AnswerConfig:
    fields: dict[str, Any] = {
        "name": "tiny",
        "task": "answer",
        "architecture": {"name": "memory_network", "hops": 2, "hidden_size": 16},
        "data": {
            "train": {"files": "*_train.txt"},
            "test": {"files": "*_test.txt"},
            "max_sentences": 5,
            "max_words": 6,
        },
        "training": {
            "epochs": 12,
            "batch_rows": 16,
            "linear_epochs": 2,
            "learning_rate": 0.02,
            "warmup_steps": 5,
            "average_decay": 0.0,
        },
    }
    parsed = parse_config(fields | {key: {**fields.get(key, {}), **value} for key, value in sections.items()}, "test")
    assert isinstance(parsed, AnswerConfig)
    return parsed


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run[Any, Any]:
    path = train(config(), DATA, tmp_path_factory.mktemp("runs"), hardware=Hardware(accelerator="cpu"), progress=False)
    return load_run(path, DATA)


def test_a_memory_network_learns_and_scores_what_it_scored_in_training(run: Run[Any, Any]) -> None:
    best = max(row["validation_accuracy"] for row in read_metrics(run.path))
    assert best >= 60
    outputs = TASK.evaluate(run, "validation")
    errors = [outputs[f"error of {task}"] for task in ("t1_where_train", "t2_holds_train")]
    assert outputs["accuracy"] == pytest.approx(100 - np.mean(errors), abs=0.02)
    assert TASK.evaluate(run, "test")["examples"] == 60


def test_metrics_are_means_over_tasks() -> None:
    vocabulary = StoryVocabulary.learn(STORIES)
    trained = Run(Path(), config(), torch.nn.Identity(), vocabulary)  # type: ignore[arg-type]
    examples = [
        Question(("It is.",), "Who?", answer, task) for task, answer in (("a", "ADA"), ("a", "ada"), ("b", "x"))
    ]
    outputs = [{"scores": np.array(scores)} for scores in ([1.0, 0.0], [0.0, 1.0], [1.0, 0.0])]
    assert TASK.metrics(trained, outputs, examples) == {"accuracy": 25.0, "solved": 0.0}
    assert TASK.metrics(trained, outputs[:1], examples[:1]) == {"accuracy": 100.0, "solved": 100.0}
    assert TASK.details(trained, outputs, examples) == {"error of a": 50.0, "error of b": 100.0}


def test_answers_are_the_first_words_and_case_does_not_count(tmp_path: Path) -> None:
    vocabulary = StoryVocabulary.learn(STORIES)
    assert vocabulary.answers == ("Ada", "cup,hat")
    assert [vocabulary.place(answer) for answer in ("ADA", "Cup,Hat", "hat")] == [0, 1, None]
    assert vocabulary.words.encode("Ada!").ids == [FIRST_ANSWER]
    read = vocabulary.words.encode("She's at the E\u0301te\u0301, cup,hat").tokens
    assert read == ["she's", UNK, "the", "été", "cup", UNK]
    assert vocabulary.words.vocabulary_size == FIRST_ANSWER + len(
        {"ada", "cup,hat", "took", "the", "cup", "she's", "an", "x-ray", "été", "l'été", "who", "what"}
    )
    vocabulary.save(tmp_path)
    loaded = StoryVocabulary.load(tmp_path)
    assert loaded.answers == vocabulary.answers
    assert loaded.words.encode("took the").ids == vocabulary.words.encode("took the").ids


def test_stories_that_ask_for_one_thing_teach_nothing() -> None:
    with pytest.raises(DataError, match="1 different answers: the training stories must ask for two or more"):
        StoryVocabulary.learn([Story("t", ("It is.",), (Asked(1, "Who?", "Ada"), Asked(1, "Who?", "ADA")))])


def test_the_last_sentences_are_read_and_the_first_words_of_each() -> None:
    vocabulary = StoryVocabulary.learn(STORIES)
    encoder = StoryEncoder(vocabulary, config(data={"max_sentences": 2, "max_words": 2}).data)
    row = encoder.inputs(
        Question(
            (
                "Ada.",
                "She's an X-ray",
                "...",
            ),
            "took the cup",
            "ada",
            "t",
        )
    )
    known = vocabulary.words.encode
    assert row["word_ids"].tolist() == [known("She's an").ids, [0, 0]]
    assert row["word_counts"].tolist() == [2, 1]
    assert row["question_ids"].tolist() == known("took the").ids
    answers = [
        int(row["answers"]) for row in encoder.rows([STORIES[0], Story("t", ("It is.",), (Asked(1, "?", "no"),))])
    ]
    assert answers == [0, 1, UNKNOWN]


def test_a_batch_mixes_stories_of_all_sizes_and_an_epoch_has_each_row_once() -> None:
    rows = [{"word_ids": np.zeros((i, 2))} for i in range(1, 11)]
    batches = StoryBatches(rows, rows, config(training={"batch_rows": 4}).training, seed=1)
    plan = batches.plan(rows, 7)
    assert [len(batch) for batch in plan] == [4, 4, 2]
    assert sorted(place for batch in plan for place in batch) == list(range(10))
    assert plan == batches.plan(rows, 7) != batches.plan(rows, 8)


def test_rows_and_limits_are_what_the_signature_asks_for(run: Run[Any, Any]) -> None:
    assert TASK.limits(run) == Limits(sentences=5, words=6, source=6)
    sizes = {"sentences": 3, "words": 4, "source": 2}
    row = TASK.random_inputs(run, sizes, np.random.default_rng(0))
    assert axis_sizes(run.model.signature.inputs, row) == sizes
    assert 1 <= row["word_ids"].min() <= row["word_ids"].max() < TASK.vocabulary_size(run)


def test_a_bundle_is_told_how_stories_are_read(run: Run[Any, Any], tmp_path: Path) -> None:
    preprocessing = TASK.preprocessing(run, tmp_path)
    assert preprocessing == StoryPreprocessing(tokenizer="words.json", answers=run.vocabulary.answers)
    codec = InputCodec.load(tmp_path / "words.json")
    assert codec.encode("Ada went off to the barn.").ids == run.vocabulary.words.encode("Ada went off to the barn.").ids


@pytest.mark.parametrize(("epoch", "linear"), [(0, True), (1, True), (2, False)])
def test_training_starts_without_the_softmax(
    run: Run[Any, Any], monkeypatch: pytest.MonkeyPatch, epoch: int, linear: bool
) -> None:
    module = TASK.module(new_model(TASK, run.config, run.vocabulary).eval(), run.config, run.vocabulary, total_steps=9)
    monkeypatch.setattr(AnswerModule, "current_epoch", epoch)
    monkeypatch.setattr(AnswerModule, "log_mean", lambda *_, **__: None)
    rows = StoryEncoder(run.vocabulary, run.config.data).rows(STORIES[:1])[:1]
    batch = RowBatch({name: torch.from_numpy(np.asarray(array)[None]) for name, array in rows[0].items()})
    batch.tensors["answers"] = torch.tensor([1])
    expected = F.cross_entropy(module.model.answer(batch.tensors, linear=linear), torch.tensor([1]))
    assert module.training_step(batch, 0).item() == pytest.approx(expected.item())


@torch.no_grad()
def test_answers_that_training_lacks_are_misses_and_have_no_loss(
    run: Run[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = TASK.module(new_model(TASK, run.config, run.vocabulary).eval(), run.config, run.vocabulary, total_steps=9)
    logged: list[tuple[str, float, int]] = []
    monkeypatch.setattr(
        AnswerModule, "log_mean", lambda _, name, value, rows, **__: logged.append((name, float(value), rows))
    )
    row = StoryEncoder(run.vocabulary, run.config.data).rows(STORIES[:1])[0]
    batch = RowBatch({name: torch.from_numpy(np.stack([array] * 2)) for name, array in row.items()})
    scores = module.model(batch.tensors)["scores"][0]
    best = int(scores.argmax())
    batch.tensors["answers"] = torch.tensor([best, UNKNOWN])
    module.validation_step(batch, 0)
    assert logged == [
        ("validation_loss", pytest.approx(-float(scores[best])), 1),
        ("validation_accuracy", 50.0, 2),
    ]
    batch.tensors["answers"] = torch.tensor([UNKNOWN, UNKNOWN])
    module.validation_step(batch, 0)
    assert logged[2:] == [("validation_accuracy", 0.0, 2)]


def test_the_rate_is_halved_without_the_softmax(run: Run[Any, Any]) -> None:
    described = config(training={"schedule": "halving", "optimizer": "sgd", "epochs": 10, "linear_epochs": 3})
    module = TASK.module(new_model(TASK, described, run.vocabulary), described, run.vocabulary, total_steps=200)
    assert [module.rate(step) for step in (5, 53, 59, 60, 103, 150, 199)] == [0.5, 0.5, 0.25, 0.5, 0.25, 0.25, 0.125]


def test_an_architecture_that_reads_no_stories_is_told_so(run: Run[Any, Any]) -> None:
    with pytest.raises(ConfigError, match="architecture 'memory_network' reads no stories with questions"):
        TASK.module(torch.nn.Identity(), run.config, run.vocabulary, total_steps=1)  # type: ignore[arg-type]
