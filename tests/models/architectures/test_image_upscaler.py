from __future__ import annotations

import pytest
import torch

from contract.pixels import BOS_ID, LEVELS
from models.architectures.image_upscaler import ImageUpscaler
from models.registry import ConfigError, parse
from tests.battery import Battery
from tests.rollout import Batch, random_pictures


class TestImageUpscaler(Battery):
    architecture = "image_upscaler"
    task = "upscale"
    vocabulary = LEVELS
    vocabularies = {}
    learning_rate = 0.01
    sizes = {
        "image_size": 8,
        "source_size": 4,
        "hidden_size": 16,
        "num_heads": 2,
        "feed_forward_size": 24,
        "decoder_layers": 2,
    }
    axes = {"window": (3, 2), "encoder_layers": (1, 2)}

    @classmethod
    def batch(cls, lengths: tuple[int, ...], target: int, seed: int) -> Batch:
        pictures = random_pictures(len(lengths), 4, target, LEVELS, seed)
        pictures.target_ids[:, 0] = BOS_ID
        return pictures

    def test_every_small_pixel_matters_to_the_first_that_is_drawn(self, model: ImageUpscaler) -> None:
        pixels = self.batch((1,), 1, seed=1).inputs["pixels"]
        start = torch.tensor([[BOS_ID]])
        with torch.no_grad():
            before = model({"pixels": pixels}, start)
            for row in range(4):
                for column in range(4):
                    changed = pixels.clone()
                    changed[0, row, column, 1] ^= 128
                    assert (model({"pixels": changed}, start) - before).abs().max() > 1e-6

    def test_each_pixel_starts_from_the_small_one_that_it_is_a_part_of(self, model: ImageUpscaler) -> None:
        under = model._under(torch.arange(64)).view(8, 8)
        assert under[0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
        assert under[:, 0].tolist() == [0, 0, 4, 4, 8, 8, 12, 12]
        assert under[7, 7] == 15


def test_a_side_that_is_no_multiple_of_the_sources_is_refused() -> None:
    with pytest.raises(ConfigError, match="image_size 32 must be a multiple of source_size 5"):
        parse("image_upscaler", {"image_size": 32, "source_size": 5})
