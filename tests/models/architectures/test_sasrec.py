from __future__ import annotations

import pytest
import torch

from models.architectures.sasrec import SasRec, SasRecConfig
from models.registry import ConfigError, parse
from tests.recommend_battery import RecommendBattery


class TestSasRec(RecommendBattery):
    architecture = "sasrec"
    sizes = {"hidden_size": 12, "feed_forward_size": 16, "max_length": 9, "dropout": 0.0, "embedding_dropout": 0.0}
    axes = {"normalise": (True, False), "num_layers": (2, 1), "num_heads": (2, 1)}


def test_positions_tell_an_item_seen_twice_from_one_seen_once() -> None:
    torch.manual_seed(0)
    model = SasRec(SasRecConfig(item_count=9, hidden_size=4, num_heads=1)).eval()
    sessions = {"item_ids": torch.tensor([[3, 4, 0], [4, 3, 4]]), "item_counts": torch.tensor([2, 3])}
    with torch.no_grad():
        model.positions.normal_()
        scores = model.scores(sessions)
    assert (scores[0] - scores[1]).abs().max() > 0.1


def test_heads_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="hidden_size 10 must be divisible by num_heads 4"):
        parse("sasrec", {"item_count": 9, "hidden_size": 10, "num_heads": 4})
