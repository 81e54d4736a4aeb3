"""Intensities as vectors."""

from __future__ import annotations

import torch

from contract.pixels import BOS_ID, LEVELS
from models.layers.pixels import PixelEmbedding, intensity_features
from models.pixel_generator import distances


def test_intensities_are_the_more_alike_the_closer_they_are() -> None:
    waves = intensity_features(64)
    alike = torch.cosine_similarity(waves[100:101], waves)
    assert waves.shape == (LEVELS, 64)
    assert alike.argmax() == 100
    assert alike[101] > alike[110] > alike[180]


def test_a_channel_follows_from_its_position() -> None:
    embedding = PixelEmbedding(8)
    ids = torch.tensor([[BOS_ID, 7, 7, 7, 7]])
    vectors = embedding(ids, torch.arange(5))[0]
    expected = [3 * LEVELS, 7, LEVELS + 7, 2 * LEVELS + 7, 7]
    assert torch.equal(vectors, embedding.weight[expected])


def test_distances_are_counted_in_rows_and_columns() -> None:
    assert distances(9, 4).tolist() == [1, 2, 2, 1, 2, 3, 3, 2, 3]
