from __future__ import annotations

import pytest
import torch

from models.registry import ConfigError, build, parse
from tests.battery import Battery
from tests.variants import Fields

HIDDEN_SIZE = 16
VOCABULARIES = {"source_vocabulary_size": 10, "target_vocabulary_size": 10}


class TestAttentionSeq2Seq(Battery):
    architecture = "attention_seq2seq"
    sizes = {
        "embedding_size": 24,
        "hidden_size": HIDDEN_SIZE,
        "attention_size": 10,
        "max_source_length": 16,
        "window_size": 2,
        "dropout": 0.0,
    }
    axes = {
        "score": ("additive", "dot", "scaled_dot", "general", "concat", "location", "cosine"),
        "window": ("global", "local_m", "local_p"),
        "cell": ("gru", "lstm", "rnn"),
        "decoder_layers": (1, 2),
        "attention_layer": ("top", "bottom"),
        "bidirectional": (True, False),
        "encoder_layers": (1, 2),
        "input_feeding": (False, True),
        "share_embeddings": (False, True),
    }

    @classmethod
    def complete(cls, fields: Fields) -> Fields:
        # The dot products need the encoder's output as wide as the decoder's state; the others get another width.
        memory_size = HIDDEN_SIZE if fields["score"] in ("dot", "scaled_dot") else 2 * 7
        return super().complete(fields) | {"encoder_hidden_size": memory_size // (2 if fields["bidirectional"] else 1)}

    @classmethod
    def valid(cls, fields: Fields) -> bool:
        return fields["attention_layer"] == "top" or fields["decoder_layers"] > 1


def test_a_dot_product_of_unequal_sizes_is_refused() -> None:
    fields = VOCABULARIES | {"score": "dot", "hidden_size": 16, "encoder_hidden_size": 16}
    with pytest.raises(ConfigError, match="hidden_size 16 equal to the encoder's output size 32"):
        parse("attention_seq2seq", fields)


def test_attending_from_the_bottom_needs_a_layer_above() -> None:
    with pytest.raises(ConfigError, match="set decoder_layers to 2 or more"):
        parse("attention_seq2seq", VOCABULARIES | {"attention_layer": "bottom", "decoder_layers": 1})


def test_one_matrix_for_two_vocabularies_is_refused() -> None:
    fields = VOCABULARIES | {"share_embeddings": True, "target_vocabulary_size": 11}
    with pytest.raises(ConfigError, match="share_embeddings needs one vocabulary"):
        parse("attention_seq2seq", fields)


def test_location_attention_refuses_a_source_that_it_has_no_scores_for() -> None:
    fields = VOCABULARIES | {"score": "location", "max_source_length": 4}
    model = build("attention_seq2seq", parse("attention_seq2seq", fields))
    inputs = {"source_ids": torch.ones(1, 5, dtype=torch.long), "source_lengths": torch.tensor([5])}
    with pytest.raises(ValueError, match="a source of 5 positions, location attention has scores for 4"):
        model(inputs, torch.ones(1, 2, dtype=torch.long))
