from __future__ import annotations

from tests.prompt_battery import PromptBattery


class TestTransformerDecoder(PromptBattery):
    architecture = "transformer_decoder"
    sizes = {"hidden_size": 16, "feed_forward_size": 24, "dropout": 0.0, "max_length": 32}
    axes = {"num_heads": (2, 1), "layers": (1, 2)}
    learning_rate = 0.01
