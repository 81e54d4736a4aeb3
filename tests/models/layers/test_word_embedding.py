from __future__ import annotations

import torch

from models.layers.word_embedding import WordEmbedding


def test_whole_words_are_dropped_in_training_only() -> None:
    torch.manual_seed(0)
    embedding = WordEmbedding(10, 8, dropout=0.0, word_dropout=0.3)
    ids = torch.randint(0, 10, (50, 20))
    vectors = embedding(ids)
    dropped = (vectors == 0).all(dim=-1)
    assert 0.25 < dropped.float().mean() < 0.35
    assert torch.equal(vectors[~dropped], embedding.weight[ids][~dropped])
    assert torch.equal(embedding.eval()(ids), embedding.weight[ids])


def test_elements_are_dropped_in_training_only() -> None:
    torch.manual_seed(0)
    embedding = WordEmbedding(10, 8, dropout=0.5, word_dropout=0.0)
    ids = torch.randint(0, 10, (50, 20))
    vectors = embedding(ids)
    assert 0.45 < (vectors == 0).float().mean() < 0.55
    torch.testing.assert_close(vectors[vectors != 0], 2 * embedding.weight[ids][vectors != 0])
    assert torch.equal(embedding.eval()(ids), embedding.weight[ids])
