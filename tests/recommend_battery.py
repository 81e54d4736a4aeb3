"""What recommenders must pass besides the checks of all one-shot models: cause before effect, and filters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from contract.rows import pad_rows
from models.recommender import Recommender
from tests.architecture_battery import TOLERANCE
from tests.predict_battery import VOCABULARY, Exported, PredictBattery, compute, random_batch, tensors
from tests.predict_inputs import random_rows

COUNT = 6


class RecommendBattery(PredictBattery):
    """Base class of the tests of recommenders."""

    task = "recommend"
    vocabularies = {"item_count": VOCABULARY}

    @classmethod
    def loss(cls, model: Recommender, inputs: Mapping[str, Tensor], targets: Tensor) -> Tensor:
        """Cross-entropy over the whole catalogue."""
        return F.cross_entropy(model.scores(inputs), targets)

    def test_a_later_item_changes_nothing_before_it(self, model: Recommender) -> None:
        torch.manual_seed(1)
        item_ids = torch.randint(1, VOCABULARY, (3, COUNT))
        counts = torch.full((3,), COUNT)
        with torch.no_grad():
            before = model.represent(item_ids, counts, model.table())
            for place in range(1, COUNT):
                changed = item_ids.clone()
                changed[:, place] = item_ids[:, place] % (VOCABULARY - 1) + 1
                after = model.represent(changed, counts, model.table())
                torch.testing.assert_close(after[:, :place], before[:, :place], rtol=0, atol=TOLERANCE)
                assert (after[:, place] - before[:, place]).abs().amax(dim=1).min() > 100 * TOLERANCE

    def test_every_position_is_what_the_session_up_to_there_gives(self, model: Recommender) -> None:
        torch.manual_seed(2)
        item_ids = torch.randint(1, VOCABULARY, (3, COUNT))
        with torch.no_grad():
            together = F.linear(model.represent(item_ids, torch.full((3,), COUNT), model.table()), model.table())
            for length in range(1, COUNT + 1):
                prefix = {"item_ids": item_ids[:, :length], "item_counts": torch.full((3,), length)}
                torch.testing.assert_close(model.scores(prefix), together[:, length - 1], rtol=0, atol=TOLERANCE)

    def test_the_graph_filters_and_ranks_the_catalogue(self, model: Recommender, graph: Exported) -> None:
        batch = random_batch(model, "mixed", seed=3) | {"k": np.array(VOCABULARY)}
        with torch.no_grad():
            scores = model.scores(tensors(batch)).numpy()
        candidates, found = graph("predict").run(["candidates", "scores"], batch)
        for row, wanted in enumerate(batch["filter_ids"]):
            named = set(wanted[wanted > 0].tolist())
            allowed = named if batch["filter_mode"][row] else set(range(1, VOCABULARY)) - named
            best = sorted(allowed, key=lambda item: -scores[row, item])
            assert candidates[row, : len(best)].tolist() == best
            np.testing.assert_allclose(found[row, : len(best)], scores[row, best], rtol=0, atol=TOLERANCE)
            assert (found[row, len(best) :] == -np.inf).all()

    def test_one_filter_may_be_none(self, model: Recommender) -> None:
        """Without any filter, rows still have one column of them, the dummy; all items but the dummy come back."""
        rows = [{**row, "filter_ids": np.zeros(1, np.int64), "filter_mode": np.array(0), "k": np.array(VOCABULARY)}
                for row in random_rows(model.signature, "mixed", seed=4)]  # fmt: skip
        found = compute(model, "predict", pad_rows(model.signature.inputs, rows))
        assert (np.sort(found["candidates"], axis=1) == np.arange(VOCABULARY)).all()
        assert (found["candidates"][:, -1] == 0).all()
        assert (np.isneginf(found["scores"]).sum(axis=1) == 1).all()
