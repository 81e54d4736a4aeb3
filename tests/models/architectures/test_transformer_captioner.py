from __future__ import annotations

import pytest

from models.registry import ConfigError, parse
from tests.image_battery import ENCODER, ImageBattery


class TestTransformerCaptioner(ImageBattery):
    architecture = "transformer_captioner"
    sizes = {"encoder": ENCODER, "hidden_size": 16, "feed_forward_size": 24, "dropout": 0.0, "max_length": 32}
    axes = {"num_heads": (2, 1), "decoder_layers": (1, 2)}


def test_heads_that_do_not_share_the_size_evenly_are_refused() -> None:
    with pytest.raises(ConfigError, match="hidden_size 16 must be even and divisible by num_heads 3"):
        parse("transformer_captioner", {"target_vocabulary_size": 9, "hidden_size": 16, "num_heads": 3})
