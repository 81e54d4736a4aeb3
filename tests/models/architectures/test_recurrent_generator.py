from __future__ import annotations

import torch

from models.architectures.recurrent_generator import RecurrentGenerator
from tests.battery import LENGTHS, TARGET
from tests.prompt_battery import PromptBattery


class TestRecurrentGenerator(PromptBattery):
    architecture = "recurrent_generator"
    steps = 600
    sizes = {"embedding_size": 12, "hidden_size": 24, "dropout": 0.0}
    axes = {"cell": ("lstm", "gru", "rnn"), "layers": (1, 2), "share_embeddings": (False, True)}

    def test_of_nothing_read_nothing_is_known(self, model: RecurrentGenerator) -> None:
        batch = self.batch(LENGTHS, TARGET, seed=12)
        with torch.no_grad():
            encoded = model.encode(batch.inputs)
        for state in encoded.values():
            assert (state == 0).all(dim=1).tolist() == [length == 1 for length in LENGTHS]
