"""The battery of generators without a source: the checks of every generator behind prompts, and those of prompts."""

from __future__ import annotations

import torch

from models.prompt_generator import PromptGenerator
from tests.architecture_battery import TOLERANCE
from tests.battery import LENGTHS, TARGET, VOCABULARY, Battery
from tests.rollout import Batch, random_prompts, unroll


class PromptBattery(Battery):
    """Base class of the tests of language models."""

    task = "generate"
    vocabularies = {"vocabulary_size": VOCABULARY}

    @classmethod
    def batch(cls, lengths: tuple[int, ...], target: int, seed: int) -> Batch:
        """Random prompts, one shorter than each of the lengths: of nothing too."""
        return random_prompts(tuple(length - 1 for length in lengths), target, VOCABULARY, seed)

    def test_a_prompt_is_read_as_if_it_had_been_written(self, model: PromptGenerator) -> None:
        batch = self.batch((1,), TARGET, seed=10)
        split = 4
        read, rest = batch.target_ids[:, :split], batch.target_ids[:, split:]
        prompted = Batch({"prompt_ids": read, "prompt_lengths": torch.tensor([split])}, rest)
        with torch.no_grad():
            whole = model.read(batch.target_ids)
            torch.testing.assert_close(unroll(model, batch)[0], whole, rtol=0, atol=TOLERANCE)
            torch.testing.assert_close(unroll(model, prompted)[0], whole[:, split:], rtol=0, atol=TOLERANCE)

    def test_what_pads_a_prompt_does_not_matter(self, model: PromptGenerator) -> None:
        batch = self.batch(LENGTHS, TARGET, seed=11)
        padding = torch.arange(batch.room(0)) >= batch.starts[:, None]
        ids = batch.inputs["prompt_ids"]
        other = Batch(
            batch.inputs | {"prompt_ids": torch.where(padding, (ids + 1) % VOCABULARY, ids)}, batch.target_ids
        )
        with torch.no_grad():
            assert torch.equal(unroll(model, batch)[0], unroll(model, other)[0])
