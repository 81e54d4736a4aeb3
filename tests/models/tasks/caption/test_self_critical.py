"""What a captioner learns from the scores of its own captions."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from models.registry import ConfigError
from models.tasks.caption import TASK
from models.tasks.caption.self_critical import Consensus, advantages, policy_loss
from models.training.config import Hardware
from models.training.report import read_metrics
from models.training.run import load_run
from models.training.trainer import train
from tests.models.tasks.caption.shapes import PICTURES, caption_config

KNOWN = ("a dog runs over the wet grass", "a brown dog runs")
OTHERS = [("a man in a hat", "a man sits"), ("a woman in a red coat",), ("two men run",)]
CONSENSUS = Consensus([KNOWN, *OTHERS])


def score(caption: str, *references: str) -> float:
    return float(CONSENSUS([caption], [references or KNOWN])[0])


def test_the_score_of_a_caption_is_that_of_the_paper() -> None:
    # By hand: of 4 pictures `a` is in 3 and `</s>` in all, `two` and `men` in 1. `a men </s>` against `two men </s>`:
    # words: men · men over the norms; pairs: `men </s>` of 2 in each; triples and quadruples share nothing.
    rare, common = math.log(4), math.log(4 / 3)
    words = rare**2 / (math.hypot(common, rare) * math.hypot(rare, rare))
    consensus = Consensus([("a cat",), ("a dog",), ("a cow",), ("two men",)])
    pairs = rare**2 / (math.hypot(rare, rare) * math.hypot(rare, rare))
    found = float(consensus(["a men"], [("two men",)])[0])
    assert found == pytest.approx(10 * (words + pairs) / 4, abs=1e-4)


def test_a_caption_that_somebody_wrote_gets_the_most_and_one_without_a_common_word_nothing() -> None:
    assert score(KNOWN[0], KNOWN[0]) == pytest.approx(10, abs=1e-4)
    assert score("three cats", "a brown dog runs") == pytest.approx(0, abs=1e-6)
    assert score("a dog runs over the wet grass") > score("a dog runs over the grass") > score("a dog over there")


def test_rare_words_count_more_than_common_ones() -> None:
    assert score("a brown cat sits here", "a brown dog runs") > score("a big cat sits here", "a brown dog runs")


@pytest.mark.parametrize(
    "worse", ["a dog runs over the", "a dog runs over the wet", "a dog runs a dog runs a dog runs"]
)
def test_breaking_off_and_repeating_costs(worse: str) -> None:
    assert score(worse) < score("a dog runs over the wet grass")
    assert score("a brown dog", "a brown dog runs") < score("a brown dog runs", "a brown dog runs")


def test_each_is_held_against_the_others_of_its_picture() -> None:
    found = advantages(torch.tensor([[0.2, 0.4, 0.9], [0.5, 0.5, 0.5]]))
    torch.testing.assert_close(found, torch.tensor([[-0.45, -0.15, 0.6], [0.0, 0.0, 0.0]]))


def test_the_gradient_favours_what_was_better_and_leaves_padding_alone() -> None:
    logits = torch.zeros(2, 3, 5, requires_grad=True)
    labels = torch.tensor([[4, 3, 0], [2, 3, 3]])
    policy_loss(logits, labels, torch.tensor([1.0, -0.5]), pad=0).backward()
    assert logits.grad is not None
    # Softmax minus the label, times the advantage, over five tokens.
    assert logits.grad[0, 0].tolist() == pytest.approx([0.04, 0.04, 0.04, 0.04, -0.16])
    assert logits.grad[1, 0].tolist() == pytest.approx([-0.02, -0.02, 0.08, -0.02, -0.02])
    assert logits.grad[0, 2].tolist() == [0.0] * 5


def test_a_run_goes_on_from_another_and_its_own_captions_get_better(tmp_path: Path) -> None:
    hardware = Hardware(accelerator="cpu")
    first = caption_config(training={"epochs": 8, "batch_tokens": 80, "learning_rate": 0.02})
    start = train(first, PICTURES, tmp_path / "first", hardware=hardware, progress=False)
    again = {"objective": "self_critical", "epochs": 10, "batch_tokens": 80, "learning_rate": 0.003, "patience": 20}
    second = caption_config(pretrained={"run": str(start)}, training=again)
    path = train(second, PICTURES, tmp_path / "second", hardware=hardware, progress=False)
    rows = read_metrics(path)
    assert rows[-1]["train_loss"] < rows[0]["train_loss"] - 0.1
    run, started = load_run(path), load_run(start)
    assert run.vocabulary.codec.tokenizer.to_str() == started.vocabulary.codec.tokenizer.to_str()
    # What was learnt first is still there: a new model would be near the logarithm of the vocabulary.
    assert rows[0]["validation_loss"] < 3 < torch.tensor(TASK.load(path).codec.vocabulary_size).log()


def test_one_caption_alone_cannot_be_compared() -> None:
    with pytest.raises(ConfigError, match="captions_per_picture >= 2"):
        caption_config(training={"objective": "self_critical", "captions_per_picture": 1})
