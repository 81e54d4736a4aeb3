from __future__ import annotations

from tests.battery import Battery


class TestRecurrentSeq2Seq(Battery):
    architecture = "recurrent_seq2seq"
    sizes = {"embedding_size": 24, "hidden_size": 16, "dropout": 0.0}
    axes = {
        "cell": ("gru", "lstm", "rnn"),
        "bidirectional": (True, False),
        "encoder_layers": (1, 2),
        "decoder_layers": (1, 2),
        "encoder_hidden_size": (8, 16),
        "share_embeddings": (False, True),
    }
