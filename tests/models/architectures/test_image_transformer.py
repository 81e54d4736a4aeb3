from __future__ import annotations

import pytest
import torch

from contract.pixels import BOS_ID, LEVELS
from models.architectures.image_transformer import ImageTransformer
from models.registry import ConfigError, parse
from tests.architecture_battery import TOLERANCE
from tests.prompt_battery import PromptBattery
from tests.rollout import Batch, random_prompts, unroll


class TestImageTransformer(PromptBattery):
    """Windows are shorter than what is drawn, so that they are written round and round."""

    architecture = "image_transformer"
    task = "complete-image"
    vocabulary = LEVELS
    vocabularies = {}
    learning_rate = 0.01
    sizes = {"image_size": 3, "hidden_size": 16, "num_heads": 2, "feed_forward_size": 24}
    axes = {"window": (3, 2), "decoder_layers": (2, 1)}

    @classmethod
    def batch(cls, lengths: tuple[int, ...], target: int, seed: int) -> Batch:
        prompts = random_prompts(tuple(length - 1 for length in lengths), target, LEVELS, seed)
        ids = torch.cat([prompts.inputs["prompt_ids"], prompts.target_ids], dim=1)
        ids[:, 0] = BOS_ID
        targets = prompts.target_ids.clone()
        targets[prompts.starts == 0, 0] = BOS_ID
        return Batch(prompts.inputs | {"prompt_ids": ids[:, : prompts.inputs["prompt_ids"].shape[1]]}, targets)

    def test_a_pixel_sees_the_window_before_it_in_every_layer_and_no_more(self, model: ImageTransformer) -> None:
        ids = torch.randint(LEVELS, (1, 27), generator=torch.Generator().manual_seed(12))
        ids[:, 0] = BOS_ID
        reach = model.config.decoder_layers * (model.config.window - 1)
        changed = ids.clone()
        changed[:, 1] = (changed[:, 1] + 100) % LEVELS  # the red of pixel 0, which pixel 1 is the first to look at
        with torch.no_grad():
            moved = (model.read(ids) - model.read(changed)).abs().amax(dim=(0, 2)) > 0
        last = 3 * (1 + reach) + 3
        expected = [1 <= position < last for position in range(27)]
        assert moved.tolist() == expected

    def test_channels_of_a_pixel_are_told_one_after_another(self, model: ImageTransformer) -> None:
        ids = torch.tensor([[BOS_ID, 10, 20, 30, 40, 50]])
        with torch.no_grad():
            before = model.read(ids)
            for position in range(1, 6):
                changed = ids.clone()
                changed[0, position] += 100
                moved = (model.read(changed) - before).abs().amax(dim=(0, 2)) > 0
                assert moved.tolist() == [other >= position for other in range(6)]

    def test_a_whole_picture_is_stepped_round_its_windows(self, model: ImageTransformer) -> None:
        batch = self.batch((1, 1), 27, seed=13)
        with torch.no_grad():
            torch.testing.assert_close(unroll(model, batch)[0], model.read(batch.target_ids), rtol=0, atol=TOLERANCE)


def test_heads_that_do_not_share_the_size_evenly_are_refused() -> None:
    with pytest.raises(ConfigError, match="hidden_size 16 must be even and divisible by num_heads 3"):
        parse("image_transformer", {"hidden_size": 16, "num_heads": 3})
