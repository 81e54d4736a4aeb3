"""What a captioner learns from the scores of its own captions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.registry import ConfigError
from models.tasks.caption import TASK
from models.tasks.caption.self_critical import advantages, policy_loss, rewards
from models.training.config import Hardware
from models.training.report import read_metrics
from models.training.run import load_run
from models.training.trainer import train
from tests.models.tasks.caption.shapes import PICTURES, caption_config

REFERENCES = ("a dog runs over the wet grass", "a brown dog runs")


def test_a_caption_that_somebody_wrote_gets_all_there_is_and_one_without_a_common_word_nothing() -> None:
    assert rewards([REFERENCES[0], "two men sit", ""], [REFERENCES] * 3).tolist() == pytest.approx([1, 0, 0])


def test_closer_captions_get_more() -> None:
    captions = ["a dog runs over the sand", "a dog sits over there now", "the cat is in a tree"]
    found = rewards(captions, [REFERENCES] * 3)
    assert found.tolist() == sorted(found.tolist(), reverse=True)
    assert len(set(found.tolist())) == 3


def test_shorter_than_all_references_costs() -> None:
    short, long = rewards(["a dog", "a dog runs over the"], [REFERENCES[:1]] * 2).tolist()
    assert short < long


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
    assert rows[-1]["train_loss"] < rows[0]["train_loss"] - 0.05
    run, started = load_run(path), load_run(start)
    assert run.vocabulary.codec.tokenizer.to_str() == started.vocabulary.codec.tokenizer.to_str()
    # What was learnt first is still there: a new model would be near the logarithm of the vocabulary.
    assert rows[0]["validation_loss"] < 3 < torch.tensor(TASK.load(path).codec.vocabulary_size).log()


def test_one_caption_alone_cannot_be_compared() -> None:
    with pytest.raises(ConfigError, match="captions_per_picture >= 2"):
        caption_config(training={"objective": "self_critical", "captions_per_picture": 1})
