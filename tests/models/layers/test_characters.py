from __future__ import annotations

import pytest
import torch

from models.layers.characters import CharacterFeatures, ConvolutionalCharacters, RecurrentCharacters


@pytest.fixture(params=[ConvolutionalCharacters, RecurrentCharacters])
def features(request: pytest.FixtureRequest) -> CharacterFeatures:
    torch.manual_seed(1)
    layer = request.param(vocabulary_size=9, embedding_size=4, output_size=6, dropout=0.5)
    assert isinstance(layer, CharacterFeatures)
    return layer.eval()


def test_a_word_has_one_vector_wherever_it_stands(features: CharacterFeatures) -> None:
    ids = torch.tensor([[[2, 3, 4, 0, 0], [5, 0, 0, 0, 0]], [[5, 7, 7, 7, 7], [2, 3, 4, 8, 8]]])
    vectors = features(ids, torch.tensor([[3, 1], [1, 3]]))
    alone = features(torch.tensor([[[2, 3, 4]]]), torch.tensor([[3]]))
    assert vectors.shape == (2, 2, 6)
    torch.testing.assert_close(vectors[0, 0], alone[0, 0])
    torch.testing.assert_close(vectors[0, 0], vectors[1, 1])
    torch.testing.assert_close(vectors[0, 1], vectors[1, 0])
    assert not torch.allclose(vectors[0, 0], vectors[0, 1])


def test_the_order_of_characters_matters(features: CharacterFeatures) -> None:
    vectors = features(torch.tensor([[[2, 3, 4], [4, 3, 2]]]), torch.tensor([[3, 3]]))
    assert not torch.allclose(vectors[0, 0], vectors[0, 1])


def test_a_word_without_characters_is_zero(features: CharacterFeatures) -> None:
    vectors = features(torch.tensor([[[2, 3], [4, 5]]]), torch.tensor([[2, 0]]))
    assert (vectors[0, 1] == 0).all()
    assert (vectors[0, 0] != 0).any()


def test_two_directions_share_an_even_size() -> None:
    with pytest.raises(ValueError, match="character_size 5 is shared by two directions: it must be even"):
        RecurrentCharacters(9, 4, 5, 0.0)
