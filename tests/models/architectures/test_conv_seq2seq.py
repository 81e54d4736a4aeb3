from __future__ import annotations

import pytest

from models.architectures.conv_seq2seq import ConvSeq2SeqConfig
from tests.battery import Battery


class TestConvSeq2Seq(Battery):
    architecture = "conv_seq2seq"
    sizes = {"embedding_size": 12, "hidden_size": 16, "dropout": 0.0, "max_length": 32}
    learning_rate = 0.01
    axes = {"kernel_size": (3, 5), "encoder_layers": (1, 2), "decoder_layers": (1, 3)}


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel_size 4 must be odd"):
        ConvSeq2SeqConfig(source_vocabulary_size=9, target_vocabulary_size=9, kernel_size=4)
