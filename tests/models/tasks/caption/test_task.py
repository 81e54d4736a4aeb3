"""A captioner from its YAML to its scores, on the drawn pictures of the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.registry import ConfigError
from models.tasks.caption import TASK
from models.tasks.caption.config import CaptionConfig
from models.tasks.caption.evaluate import describe
from models.training.config import Hardware
from models.training.report import read_metrics
from models.training.run import Run, load_run, new_model
from models.training.trainer import train
from tests.models.tasks.caption.shapes import PICTURES, caption_config

CPU = Hardware(accelerator="cpu")


def run(config: CaptionConfig, output: Path) -> Path:
    return train(config, PICTURES, output, hardware=CPU, progress=False)


def metrics(path: Path) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if "seconds" not in name} for row in read_metrics(path)]


def encoder(path: Path) -> dict[str, torch.Tensor]:
    weights = load_file(path / "model.safetensors")
    return {name: value for name, value in weights.items() if name.startswith("encoder.")}


def first_encoder(config: CaptionConfig) -> dict[str, torch.Tensor]:
    model = new_model(TASK, config, TASK.learn(config, PICTURES))
    return {name: value for name, value in model.state_dict().items() if name.startswith("encoder.")}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run[Any, Any]:
    steps = {"epochs": 12, "batch_tokens": 80, "learning_rate": 0.02}
    config = caption_config(training=steps | {"captions_per_picture": 3, "label_smoothing": 0})
    return load_run(run(config, tmp_path_factory.mktemp("runs")), PICTURES)


def test_a_captioner_learns_and_scores_what_it_scored_in_training(trained: Run[Any, Any]) -> None:
    rows = read_metrics(trained.path)
    assert rows[-1]["train_loss"] < 2.2 < 3.8 < rows[0]["train_loss"]
    best = max(rows, key=lambda row: row["validation_bleu_4"])
    assert best["validation_bleu_1"] > 40
    scores = TASK.evaluate(trained, "validation")
    assert (scores["pictures"], TASK.evaluate(trained, "test")["pictures"]) == (3, 3)
    # Training saw the features in half precision.
    assert scores["bleu_4"] == pytest.approx(best["validation_bleu_4"], abs=1)
    assert scores["bleu_1"] == pytest.approx(best["validation_bleu_1"], abs=1)


def test_captions_stand_in_the_order_of_the_pictures(trained: Run[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = TASK.examples(trained, "train")
    captions = describe(trained, pictures)
    monkeypatch.setattr("models.tasks.caption.evaluate.ROWS", 5)
    assert describe(trained, pictures) == captions
    assert describe(trained, pictures[::-1]) == captions[::-1]
    assert len(captions) == len(pictures)
    assert len(set(captions)) > 1


def test_a_frozen_encoder_stays_and_its_features_are_kept_beside_the_runs(trained: Run[Any, Any]) -> None:
    assert same(encoder(trained.path), first_encoder(trained.config))
    kept = sorted((trained.path.parent / "features").iterdir())
    assert [np.load(file).shape for file in kept] in ([(3, 16, 16), (12, 16, 16)], [(12, 16, 16), (3, 16, 16)])


def test_a_run_on_kept_features_is_the_same_as_one_that_computes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = caption_config(data={"views": 2})
    fresh = run(config, tmp_path / "first")
    monkeypatch.setenv("SEQSERVE_CACHE", str(tmp_path / "first" / "features"))
    monkeypatch.setattr("models.tasks.caption.features.read_pixels", None)
    again = run(config, tmp_path / "second")
    assert metrics(fresh) == metrics(again)
    assert same(load_file(fresh / "model.safetensors"), load_file(again / "model.safetensors"))


def test_an_encoder_is_fine_tuned_once_its_frozen_epochs_are_over(tmp_path: Path) -> None:
    longer = caption_config(
        training={"encoder": "fine-tuned", "frozen_epochs": 2, "epochs": 3, "patience": 9, "average_decay": 0.5}
    )
    frozen = run(caption_config(training={**longer.training.model_dump(), "epochs": 2}), tmp_path / "short")
    assert same(encoder(frozen), first_encoder(longer))
    path = run(longer, tmp_path / "long")
    state = torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    learnt = {name.removeprefix("model."): value for name, value in state.items() if name.startswith("model.encoder.")}
    assert not any(
        torch.equal(value, learnt[name]) for name, value in first_encoder(longer).items() if "weight" in name
    )
    assert len(list((tmp_path / "long" / "features").iterdir())) == 2


def test_the_first_blocks_of_an_encoder_may_stay_as_they_are(tmp_path: Path) -> None:
    config = caption_config(training={"encoder": "fine-tuned", "frozen_blocks": 1, "epochs": 1})
    learnt = encoder(run(config, tmp_path))
    stayed = {name for name, value in first_encoder(config).items() if torch.equal(value, learnt[name])}
    assert stayed == {name for name in learnt if name.startswith(("encoder.stem.", "encoder.blocks.0."))}


def test_hard_attention_trains_and_only_training_needs_its_baseline(tmp_path: Path) -> None:
    path = run(caption_config(architecture={"attention": "hard"}), tmp_path)
    state = torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    codec = TASK.load(path).codec
    assert -np.log(codec.vocabulary_size) < state["reinforce.baseline"].item() < 0
    assert not any("baseline" in name for name in load_file(path / "model.safetensors"))


@pytest.mark.parametrize(
    ("architecture", "added"),
    [
        ({"attention": "soft"}, {"doubly_stochastic": 1.0}),
        ({"attention": "hard"}, {"reinforce": 5.0}),
        ({"attention": "hard"}, {"entropy": 5.0}),
    ],
)
def test_attention_learns_from_more_than_words(architecture: dict[str, Any], added: dict[str, float]) -> None:
    without = {"doubly_stochastic": 0.0, "reinforce": 0.0, "entropy": 0.0}
    gradients = [
        _gradient(caption_config(architecture=architecture, training=given)) for given in (without, without | added)
    ]
    (words_only, score_only), (words, score) = gradients
    assert torch.allclose(words_only, words)
    assert not torch.allclose(score_only, score, rtol=1e-3, atol=0)


def _gradient(config: CaptionConfig) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the readout, which attention's own objectives do not reach, and of the attention's scores."""
    vocabulary = TASK.learn(config, PICTURES)
    module = TASK.module(new_model(TASK, config, vocabulary), config, vocabulary, total_steps=10)
    module.log_mean = lambda *_, **__: None  # type: ignore[method-assign]
    source = TASK.data(config, vocabulary, PICTURES)
    regions = torch.rand(12, 16, 16, generator=torch.Generator().manual_seed(0))
    source._train.features = lambda indices, views: {"features": regions[indices]}  # type: ignore[method-assign]
    torch.manual_seed(1)
    module.train().training_step(next(iter(source.epoch(0))), 0).backward()
    named = dict(module.model.named_parameters())
    readout, score = (next(n for n in named if n.startswith(part)) for part in ("readout.", "attention.score."))
    assert named[readout].grad is not None
    assert named[score].grad is not None
    return named[readout].grad, named[score].grad


def test_the_encoder_learns_at_a_rate_of_its_own() -> None:
    config = caption_config(training={"encoder": "fine-tuned", "encoder_rate": 0.25})
    vocabulary = TASK.learn(config, PICTURES)
    model = new_model(TASK, config, vocabulary)
    module = TASK.module(model, config, vocabulary, total_steps=10)
    groups = module.parameter_groups()
    rates = {id(parameter): group.get("lr", 0.01) for group in groups for parameter in group["params"]}
    assert len(rates) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == (0.0025 if name.startswith("encoder.") else 0.01)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"architecture": {"name": "captioner", "attention": "som"}},
            "attention: Input should be 'none', 'soft' or 'hard'",
        ),
        ({"training": {"frozen_epochs": 1}}, "set encoder to fine-tuned"),
        ({"data": {"images": []}}, r"data\.images: Tuple should have at least 1 item"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        new_model(TASK, config := caption_config(**sections), TASK.learn(config, PICTURES))


def test_an_architecture_must_read_pictures_and_have_positions_enough() -> None:
    config = caption_config()
    vocabulary = TASK.learn(config, PICTURES)
    fields = config.model_dump()
    fields["architecture"] = {
        "name": "transformer_captioner",
        "encoder": fields["architecture"]["encoder"],
        "hidden_size": 8,
        "num_heads": 2,
        "feed_forward_size": 8,
        "decoder_layers": 1,
        "max_length": 23,
    }
    short = CaptionConfig.model_validate(fields)
    with pytest.raises(ConfigError, match=r"architecture\.max_length 23 is below data\.max_length 24"):
        TASK.module(new_model(TASK, short, vocabulary), short, vocabulary, total_steps=1)
    with pytest.raises(ConfigError, match="architecture 'captioner' does not read pictures"):
        TASK.module(torch.nn.Linear(1, 1), config, vocabulary, total_steps=1)  # type: ignore[arg-type]


def test_the_vocabulary_is_that_of_normal_captions(tmp_path: Path) -> None:
    vocabulary = TASK.learn(caption_config(), PICTURES)
    vocabulary.save(tmp_path)
    codec = TASK.load(tmp_path).codec
    text = "theres a green circle on black ground"
    assert codec.decode(codec.encode(text).ids) == text
    assert codec.unk in codec.encode("A circle .").ids
    assert TASK.sizes(caption_config(), vocabulary) == {"target_vocabulary_size": codec.vocabulary_size}
