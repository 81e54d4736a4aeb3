"""The battery of captioners: the checks of every generator, on pictures, and those of several captions a picture."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from models.architecture import Tensors
from models.image_generator import ImageGenerator
from tests.architecture_battery import TOLERANCE
from tests.battery import LENGTHS, TARGET, VOCABULARY, Battery
from tests.rollout import Batch, random_pictures
from tests.variants import Fields

SIDE = 16
ENCODER = {
    "image_size": SIDE,
    "stem_size": 4,
    "stages": [
        {"blocks": 1, "kernel_size": 3, "stride": 1, "expansion": 1, "channels": 6},
        {"blocks": 2, "kernel_size": 5, "stride": 2, "expansion": 2, "channels": 8},
    ],
    "head_size": 12,
}
"""Sees 4 × 4 regions, and has blocks of every kind: of both strides, widening and not, with and without a residual."""


class ImageBattery(Battery):
    """Base class of the tests of captioners."""

    task = "caption"
    learning_rate = 0.01
    steps = 200
    vocabularies = {"target_vocabulary_size": VOCABULARY}

    @classmethod
    def batch(cls, lengths: tuple[int, ...], target: int, seed: int) -> Batch:
        return random_pictures(len(lengths), SIDE, target, VOCABULARY, seed)

    @classmethod
    def create(cls, fields: Fields) -> Any:
        """Also brings the features to the size of a trained encoder's, about 1."""
        model = super().create(fields)
        with torch.no_grad():
            model.encoder.head.weight *= 10
        return model

    def loss(self, model: ImageGenerator, inputs: Tensors, target_ids: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy; where regions are drawn, also the reward of those that made the word likelier than others."""
        taught = model.teach(inputs, target_ids)
        losses = F.cross_entropy(taught.logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels)
        loss = losses.mean()
        if taught.choice_log_probs is None or taught.entropy is None:
            return loss
        regret = (losses - loss).detach()
        return loss + (regret * taught.choice_log_probs).mean() - 0.01 * taught.entropy.mean()

    def test_the_grid_is_that_of_the_encoders_map(self, model: ImageGenerator) -> None:
        batch = self.batch(LENGTHS, TARGET, seed=1)
        assert model.grid == (4, 4)
        assert model.features(batch.inputs).shape == (len(LENGTHS), 16, 12)

    def test_features_stand_for_the_pictures_that_they_were_made_of(self, model: ImageGenerator) -> None:
        batch = self.batch(LENGTHS, TARGET, seed=2)
        with torch.no_grad():
            features = {"features": model.encoder(batch.inputs["pixels"])}
            assert torch.equal(model(features, batch.target_ids), model(batch.inputs, batch.target_ids))
            encoded = model.encode(batch.inputs)
            for name, value in model.encode(features).items():
                assert torch.equal(value, encoded[name]), name

    def test_several_captions_of_a_picture_equal_a_row_for_each(self, model: ImageGenerator) -> None:
        batch = self.batch((0,) * 6, TARGET, seed=3)
        pictures = {"pixels": batch.inputs["pixels"][:2]}
        rows = {"pixels": pictures["pixels"].repeat_interleave(3, dim=0)}
        with torch.no_grad():
            shared, apart = model.teach(pictures, batch.target_ids), model.teach(rows, batch.target_ids)
        torch.testing.assert_close(shared.logits, apart.logits, rtol=0, atol=TOLERANCE)
        assert (shared.weights is None) == (apart.weights is None)
        if shared.weights is not None:
            torch.testing.assert_close(shared.weights, apart.weights, rtol=0, atol=TOLERANCE)

    def test_nothing_is_drawn_once_training_is_over(self, model: ImageGenerator) -> None:
        batch = self.batch(LENGTHS, TARGET, seed=4)
        with torch.no_grad():
            taught = model.teach(batch.inputs, batch.target_ids)
        assert taught.choice_log_probs is None
        assert taught.entropy is None
