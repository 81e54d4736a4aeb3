from __future__ import annotations

import torch
from torch import Tensor

from models.architectures.captioner import Captioner
from models.image_generator import Taught
from models.registry import build, parse
from tests.battery import VOCABULARY
from tests.image_battery import ENCODER, SIDE, ImageBattery
from tests.rollout import random_pictures
from tests.variants import Fields

SIZES = {"encoder": ENCODER, "embedding_size": 24, "hidden_size": 28, "memory_size": 12, "attention_size": 8}


class TestCaptioner(ImageBattery):
    architecture = "captioner"
    steps = 400
    sizes = SIZES | {"dropout": 0.0}
    axes = {"attention": ("soft", "hard", "none"), "cell": ("lstm", "gru"), "gate": (True, False)}

    @classmethod
    def valid(cls, fields: Fields) -> bool:
        """Without attention there is nothing for a gate to scale."""
        return fields["attention"] != "none" or not fields["gate"]


def captioner(**fields: object) -> Captioner:
    torch.manual_seed(5)
    sizes = SIZES | {"dropout": 0.0, "target_vocabulary_size": VOCABULARY}
    model = build("captioner", parse("captioner", sizes | fields))
    assert isinstance(model, Captioner)
    return model.train()


def teach(model: Captioner, seed: int = 0) -> Taught:
    """Two pictures of three captions each."""
    batch = random_pictures(6, SIDE, 5, VOCABULARY, seed=1)
    torch.manual_seed(seed)
    return model.teach({"pixels": batch.inputs["pixels"][:2]}, batch.target_ids)


def gradients(model: Captioner, value: Tensor, part: str) -> list[bool]:
    """Whether each parameter of a part gets a gradient from the value."""
    model.zero_grad()
    value.backward(retain_graph=True)
    return [
        parameter.grad is not None and bool(parameter.grad.any())
        for name, parameter in model.named_parameters()
        if name.startswith(part)
    ]


def test_draws_are_repeated_by_the_seed() -> None:
    model = captioner(attention="hard")
    one, again, other = teach(model, 1), teach(model, 1), teach(model, 2)
    assert torch.equal(one.logits, again.logits)
    assert not torch.equal(one.logits, other.logits)


def test_what_reinforce_needs_is_given_for_each_position() -> None:
    taught = teach(captioner(attention="hard", expected_share=0.0))
    assert taught.weights is not None
    assert taught.choice_log_probs is not None
    assert taught.entropy is not None
    assert taught.choice_log_probs.shape == taught.entropy.shape == (6, 5)
    log_weights = taught.weights.log()
    expected = -(taught.weights * log_weights).sum(dim=-1)
    torch.testing.assert_close(taught.entropy, expected)
    # The log-probability of a choice is that of one of the regions.
    distances = (log_weights - taught.choice_log_probs.unsqueeze(-1)).abs().amin(dim=-1)
    torch.testing.assert_close(distances, torch.zeros(6, 5))


def test_a_draw_has_no_gradient_and_its_log_probability_has() -> None:
    model = captioner(attention="hard", expected_share=0.0)
    taught = teach(model)
    assert taught.choice_log_probs is not None
    assert taught.entropy is not None
    score = "attention.score"
    assert not any(gradients(model, taught.logits.logsumexp(dim=-1).sum(), score))
    assert all(gradients(model, taught.logits.logsumexp(dim=-1).sum(), "readout"))
    assert all(gradients(model, taught.choice_log_probs.sum(), score))
    assert all(gradients(model, taught.entropy.sum(), score))
    assert not any(gradients(model, taught.choice_log_probs.sum(), "readout"))


def test_where_the_expectation_stands_for_a_draw_it_is_soft_attention() -> None:
    hard, soft = captioner(attention="hard", expected_share=1.0), captioner(attention="soft")
    soft.load_state_dict(hard.state_dict())
    taught, expected = teach(hard), teach(soft)
    assert taught.choice_log_probs is not None
    assert not taught.choice_log_probs.any()
    torch.testing.assert_close(taught.logits, expected.logits)
    assert taught.weights is not None
    torch.testing.assert_close(taught.weights, expected.weights)


def test_some_captions_have_the_expectation_at_all_positions_the_others_at_none() -> None:
    model = captioner(attention="hard", expected_share=0.5)
    kinds = set()
    for seed in range(4):
        log_probs = teach(model, seed).choice_log_probs
        assert log_probs is not None
        drawn = log_probs != 0
        assert torch.equal(drawn.all(dim=1), drawn.any(dim=1))
        kinds |= set(drawn.all(dim=1).tolist())
    assert kinds == {True, False}


def test_hard_attention_that_is_served_takes_the_likeliest_region() -> None:
    model = captioner(attention="hard").eval()
    taught = teach(model)
    distribution = teach(model.train()).weights
    assert taught.weights is not None
    assert distribution is not None
    assert torch.equal(taught.weights.sum(dim=-1), torch.ones(6, 5))
    assert torch.equal(taught.weights.amax(dim=-1), torch.ones(6, 5))
    # At the first position nothing has been drawn yet, so both see the same.
    assert torch.equal(taught.weights[:, 0].argmax(dim=-1), distribution[:, 0].argmax(dim=-1))


def test_without_attention_the_picture_is_the_first_input() -> None:
    """Vinyals et al. 2015, section 3.1: the network reads the picture as if it were a word before the first one."""
    model = captioner(attention="none", cell="gru").eval()
    batch = random_pictures(2, SIDE, 5, VOCABULARY, seed=1)
    with torch.no_grad():
        picture = model.first_input(model.features(batch.inputs).mean(dim=1))
        words = torch.cat([picture.unsqueeze(1), model.target_embedding(batch.target_ids)], dim=1)
        hidden = model.decoder(words, torch.tensor([6, 6]))[0][:, 1:]
        expected = model.readout.logits(model.readout(hidden), model.target_embedding)
        torch.testing.assert_close(model(batch.inputs, batch.target_ids), expected)
