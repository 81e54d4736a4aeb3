from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from contract.text import PAD_ID
from models.prompt_generator import PromptGenerator
from models.registry import ConfigError
from models.tasks.generate import TASK
from models.tasks.generate.config import GenerateConfig
from models.tasks.generate.data import WrittenBatch
from models.tasks.generate.module import likelihood, total_loss
from models.training.config import Hardware
from models.training.report import read_metrics
from models.training.run import load_run, new_model
from models.training.trainer import train
from tests.models.tasks.generate.runs import DATA, TEXT, TUNES, make_config

CPU = Hardware(accelerator="cpu")


def test_batches_start_with_bos_and_are_told_the_next_token() -> None:
    config = make_config(TUNES)
    vocabulary = TASK.learn(config, DATA)
    codec = vocabulary.codec
    batches = list(TASK.data(config, vocabulary, DATA).epoch(0))
    assert max(batch.target_ids.numel() for batch in batches) <= 500
    assert sum(len(batch.labels) for batch in batches) == 60
    for batch in batches:
        assert batch.target_ids.shape == batch.labels.shape
        assert set(batch.target_ids[:, 0].tolist()) == {codec.bos}
        for read, wanted in zip(batch.target_ids.tolist(), batch.labels.tolist(), strict=True):
            length = wanted.index(codec.eos) + 1
            assert read[1:length] == wanted[: length - 1]
            assert set(wanted[length:]) <= {PAD_ID}


def test_an_epoch_is_the_same_for_its_number_and_seed_alone() -> None:
    config = make_config(TEXT)
    vocabulary = TASK.learn(config, DATA)
    data = TASK.data(config, vocabulary, DATA)
    first, again, other = ([batch.labels.tolist() for batch in data.epoch(number)] for number in (0, 0, 1))
    assert first == again != other


def test_a_loss_is_the_sum_over_what_is_real() -> None:
    config = make_config(TUNES)
    vocabulary = TASK.learn(config, DATA)
    model = new_model(TASK, config, vocabulary).eval()
    assert isinstance(model, PromptGenerator)
    codec = vocabulary.codec
    sequences = [[*codec.encode(text).ids, codec.eos] for text in ("K:D\n", "M:6/8\nK:G")]
    with torch.no_grad():
        together = total_loss(model, WrittenBatch.of(sequences, codec))
        apart = [total_loss(model, WrittenBatch.of([ids], codec)) for ids in sequences]
    assert together[1] == sum(map(len, sequences))
    assert together[0] == pytest.approx(sum(loss for loss, _ in apart), rel=1e-5)
    assert likelihood(math.log(4)) == pytest.approx(25)


@pytest.mark.parametrize("data", [TUNES, TEXT])
def test_a_run_learns_and_is_evaluated_as_it_was_validated(tmp_path: Path, data: dict[str, Any]) -> None:
    config = make_config(data, epochs=2, learning_rate=0.01)
    run = train(config, DATA, tmp_path, hardware=CPU, progress=False)
    first, last = read_metrics(run)
    assert first["validation_loss"] > last["validation_loss"]
    scores = TASK.evaluate(load_run(run, DATA), "validation")
    best = max(first["validation_likelihood"], last["validation_likelihood"])
    assert scores["likelihood"] == pytest.approx(best, abs=0.01)
    loss = float(scores["nats_per_character"])
    assert scores["bits_per_character"] == pytest.approx(loss / math.log(2), abs=1e-3)
    assert scores["likelihood"] == pytest.approx(100 * math.exp(-loss), abs=0.01)


def test_a_judged_text_longer_than_the_model_has_positions_is_told_so() -> None:
    short = {"name": "transformer_decoder", "hidden_size": 8, "num_heads": 1, "layers": 1, "max_length": 4}
    config = make_config(TUNES | {"max_length": 4}).model_copy(update={"architecture": short})
    vocabulary = TASK.learn(config, DATA)
    model = new_model(TASK, config, vocabulary).eval()
    assert isinstance(model, PromptGenerator)
    with pytest.raises(ConfigError, match=r"max_length 4 is below what a text that is judged has of tokens, 5"):
        total_loss(model, WrittenBatch.of([[4] * 5], vocabulary.codec))


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"name": "transformer_decoder", "hidden_size": 8, "num_heads": 1, "max_length": 64}, "64 is below .* 128"),
        ({"name": "masked_language_model", "hidden_size": 8, "num_heads": 1}, "does not go on from prompts"),
    ],
)
def test_architectures_that_cannot_are_refused(architecture: dict[str, Any], message: str) -> None:
    config = GenerateConfig.model_validate(make_config(TUNES).model_dump() | {"architecture": architecture})
    vocabulary = TASK.learn(config, DATA)
    model = new_model(TASK, config, vocabulary)
    with pytest.raises(ConfigError, match=message):
        TASK.module(model, config, vocabulary, total_steps=1)


def test_a_text_shorter_than_a_window_teaches_nothing() -> None:
    config = make_config(TEXT | {"max_length": 100_000})
    vocabulary = TASK.learn(config, DATA)
    with pytest.raises(ConfigError, match=r"fits into data.max_length 100000, or fills it"):
        TASK.data(config, vocabulary, DATA).epoch(0)
