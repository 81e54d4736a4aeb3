from __future__ import annotations

from tests.battery import Battery


class TestTransformer(Battery):
    architecture = "transformer"
    sizes = {"hidden_size": 16, "feed_forward_size": 24, "dropout": 0.0, "max_length": 32}
    axes = {
        "num_heads": (2, 1),
        "encoder_layers": (1, 2),
        "decoder_layers": (1, 2),
        "share_embeddings": (False, True),
    }
