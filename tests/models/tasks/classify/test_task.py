"""A classifier from its YAML to its scores, on the labelled texts of the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from contract.manifest import Limits
from contract.preprocessing import LabelPreprocessing
from contract.rows import axis_sizes
from models.registry import ConfigError
from models.tasks.classify import TASK
from models.tasks.classify.config import ClassifyConfig
from models.tasks.classify.module import ClassifyModule
from models.training.config import Hardware
from models.training.data import RowBatch
from models.training.report import read_metrics
from models.training.run import Run, load_run, new_model
from models.training.task import load_config, parse_config
from models.training.trainer import train

DATA = Path(__file__).parents[3] / "data" / "labelled"
CPU = Hardware(accelerator="cpu")
SIZES = {"embedding_size": 16, "hidden_size": 16}
DOCUMENTS = {"embedding_size": 12, "word_hidden_size": 8, "sentence_hidden_size": 8}


def config(name: str = "recurrent_classifier", sizes: dict[str, Any] = SIZES, **sections: Any) -> ClassifyConfig:
    fields: dict[str, Any] = {
        "name": "mood",
        "task": "classify",
        "architecture": {"name": name, **sizes},
        "data": {
            "train": {"table": "train.tsv"},
            "validation": {"table": "val.tsv"},
            "test": {"table": "test.tsv"},
            "max_length": 32,
        },
        "training": {"epochs": 8, "batch_tokens": 500, "warmup_steps": 5, "learning_rate": 0.02, "average_decay": 0.9},
    }
    changed = {key: {**fields.get(key, {}), **section} for key, section in sections.items()}
    parsed = parse_config(fields | changed, "test")
    assert isinstance(parsed, ClassifyConfig)
    return parsed


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run[Any, Any]:
    return load_run(train(config(), DATA, tmp_path_factory.mktemp("runs"), hardware=CPU, progress=False), DATA)


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Run[Any, Any]:
    described = config(
        "hierarchical_attention",
        DOCUMENTS,
        data={"documents": {"sentences": 3, "words": 5}, "language": "en"},
        training={"epochs": 1, "batch_tokens": 300},
    )
    return load_run(train(described, DATA, tmp_path_factory.mktemp("runs"), hardware=CPU, progress=False), DATA)


def test_a_classifier_learns_and_scores_what_it_scored_in_training(run: Run[Any, Any]) -> None:
    rows = read_metrics(run.path)
    best = max(row["validation_accuracy"] for row in rows)
    assert best >= 80
    assert TASK.evaluate(run, "validation")["accuracy"] == pytest.approx(best, abs=0.01)
    assert TASK.evaluate(run, "test")["examples"] == 40


def test_metrics_are_accuracy_and_the_mean_f1_of_labels(run: Run[Any, Any]) -> None:
    examples = TASK.examples(run, "test")[:4]
    truth = [run.vocabulary.index(example.label) for example in examples]
    outputs = [{"scores": np.eye(2)[label]} for label in (0, 0, 0, truth[3])]
    found = TASK.metrics(run, outputs, examples)
    guesses = [int(output["scores"].argmax()) for output in outputs]
    pairs = list(zip(guesses, truth, strict=True))
    f1 = [2 * pairs.count((c, c)) / max(guesses.count(c) + truth.count(c), 1) for c in (0, 1)]
    assert list(found) == ["accuracy", "macro_f1"]
    assert found["accuracy"] == 25 * sum(guess == label for guess, label in pairs)
    assert found["macro_f1"] == pytest.approx(50 * sum(f1))


def test_rows_and_limits_are_what_the_signature_asks_for(run: Run[Any, Any], documents: Run[Any, Any]) -> None:
    assert TASK.limits(run) == Limits(source=32)
    assert TASK.limits(documents) == Limits(sentences=3, words=5)
    generator = np.random.default_rng(0)
    for trained, sizes in ((run, {"source": 4}), (documents, {"sentences": 2, "words": 5})):
        row = TASK.random_inputs(trained, sizes, generator)
        assert axis_sizes(trained.model.signature.inputs, row) == sizes
        assert 1 <= row[trained.model.signature.inputs[0].name].min() < TASK.vocabulary_size(trained)
        example = TASK.inputs(trained, TASK.examples(trained, "test")[0])
        largest = axis_sizes(trained.model.signature.inputs, example)
        assert all(size <= TASK.limits(trained).of(axis) for axis, size in largest.items())
    document = TASK.random_inputs(documents, {"sentences": 2, "words": 5}, generator)
    assert document["word_counts"].tolist() == [5, 5]
    assert int(document["sentence_counts"]) == 2


def test_a_bundle_is_told_how_texts_are_read(run: Run[Any, Any], documents: Run[Any, Any], tmp_path: Path) -> None:
    flat, nested = TASK.preprocessing(run, tmp_path), TASK.preprocessing(documents, tmp_path)
    labels = ("negative", "positive")
    assert flat == LabelPreprocessing(tokenizer="tokenizer.json", labels=labels)
    assert nested == LabelPreprocessing(tokenizer="tokenizer.json", labels=labels, sentences=True, language="en")
    assert TASK.load(run.path).codec.vocabulary_size == TASK.vocabulary_size(run)
    assert (tmp_path / "tokenizer.json").read_bytes() == (documents.path / "tokenizer.json").read_bytes()


def test_the_loss_is_smoothed_cross_entropy_and_the_penalty(monkeypatch: pytest.MonkeyPatch) -> None:
    described = config("self_attentive", {**SIZES, "penalty": 0.7}, training={"label_smoothing": 0.2})
    vocabulary = TASK.learn(described, DATA)
    model = new_model(TASK, described, vocabulary)
    module = TASK.module(model, described, vocabulary, total_steps=10)
    logged: dict[str, float] = {}
    monkeypatch.setattr(ClassifyModule, "log_mean", lambda self, name, value, **_: logged.update({name: value.item()}))
    inputs = {"source_ids": torch.tensor([[3, 4, 5], [6, 7, 0]]), "source_lengths": torch.tensor([3, 2])}
    labels = torch.tensor([0, 1])
    torch.manual_seed(0)
    loss = module.train().training_step(RowBatch({**inputs, "labels": labels}), 0)
    torch.manual_seed(0)
    logits, penalty = model.classify(inputs)
    assert penalty is not None
    expected = F.cross_entropy(logits, labels, label_smoothing=0.2) + penalty.mean()
    assert loss.item() == pytest.approx(expected.item()) == pytest.approx(logged["train_loss"])
    assert penalty.mean() > 0.01


def test_a_classifier_starts_from_an_earlier_run_but_for_its_last_layer(run: Run[Any, Any]) -> None:
    described = config(pretrained={"run": str(run.path)})
    vocabulary = TASK.learn(described, DATA)
    assert vocabulary.codec.encode("An old child sings.") == run.vocabulary.codec.encode("An old child sings.")
    model = new_model(TASK, described, vocabulary)
    untaught = {name: value.clone() for name, value in model.state_dict().items()}
    TASK.initialise(model, described, DATA)
    taught = run.model.state_dict()
    for name, value in model.state_dict().items():
        head = name.startswith("output.")
        assert torch.equal(value, untaught[name] if head else taught[name]), name
        assert not torch.equal(untaught[name], taught[name]), name
    other = config(sizes=SIZES | {"hidden_size": 8}, pretrained={"run": str(run.path)})
    with pytest.raises(ConfigError, match="RecurrentClassifier has other parameters than the run that it starts from"):
        TASK.initialise(new_model(TASK, other, vocabulary), other, DATA)


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (config("hierarchical_attention", DOCUMENTS), "reads sentences of words: set data.documents"),
        (config(data={"documents": {}}), "reads a text as one sequence: leave data.documents out"),
        (
            config("bert", {"hidden_size": 16, "num_heads": 2, "max_length": 8}),
            r"architecture\.max_length 8 is below data\.max_length 32",
        ),
    ],
)
def test_an_architecture_that_reads_otherwise_is_told_so(described: ClassifyConfig, message: str) -> None:
    vocabulary = TASK.learn(described, DATA)
    with pytest.raises(ConfigError, match=message):
        TASK.module(new_model(TASK, described, vocabulary), described, vocabulary, total_steps=1)


def test_labels_that_yaml_reads_as_numbers_are_text_and_stay_so_in_a_run_folder(tmp_path: Path) -> None:
    path = tmp_path / "mood.yaml"
    path.write_text(
        "name: mood\ntask: classify\narchitecture: {name: recurrent_classifier}\n"
        "data: {train: {table: t.tsv}, labels: {0: bad, 1: good}}\n"
    )
    read = load_config(path)
    assert isinstance(read, ClassifyConfig)
    assert read.data.labels == {"0": "bad", "1": "good"}
    assert parse_config(read.model_dump(mode="json"), "again") == read
