from __future__ import annotations

import torch

from models.architectures.hierarchical_attention import HierarchicalAttention, HierarchicalAttentionConfig
from tests.predict_battery import VOCABULARY, PredictBattery


class TestHierarchicalAttention(PredictBattery):
    task = "classify"
    architecture = "hierarchical_attention"
    vocabularies = {"vocabulary_size": VOCABULARY, "label_count": 3}
    sizes = {
        "embedding_size": 12,
        "word_hidden_size": 8,
        "sentence_hidden_size": 8,
        "attention_size": 8,
        "dropout": 0.0,
        "embedding_dropout": 0.0,
    }
    axes = {"cell": ("gru", "lstm", "rnn")}


def model() -> HierarchicalAttention:
    torch.manual_seed(0)
    return HierarchicalAttention(HierarchicalAttentionConfig(vocabulary_size=VOCABULARY, label_count=2)).eval()


@torch.no_grad()
def test_a_document_of_one_sentence_beside_one_of_many() -> None:
    network, many = model(), torch.randint(1, VOCABULARY, (5, 4))
    words = torch.zeros(2, 5, 4, dtype=torch.long)
    words[0], words[1, 0, :2] = many, torch.tensor([7, 8])
    counts = torch.tensor([[4, 3, 2, 1, 4], [2, 0, 0, 0, 0]])
    both = {"word_ids": words, "word_counts": counts, "sentence_counts": torch.tensor([5, 1])}
    alone = {
        "word_ids": torch.tensor([[[7, 8]]]),
        "word_counts": torch.tensor([[2]]),
        "sentence_counts": torch.tensor([1]),
    }
    torch.testing.assert_close(network(both)["scores"][1:], network(alone)["scores"])
    maps, single = network.explain(both), network.explain(alone)
    torch.testing.assert_close(maps["words"][1, 0, :2], single["words"][0, 0])
    assert maps["sentences"][1].tolist() == [1, 0, 0, 0, 0]
    assert not maps["words"][1, 1:].any()


@torch.no_grad()
def test_a_sentence_of_no_words_is_a_vector_of_zeros() -> None:
    level = model().words
    sums, weights = level(torch.randn(2, 3, 200), torch.tensor([0, 2]))
    assert not sums[0].any()
    assert not weights[0].any()
    assert sums[1].all()


@torch.no_grad()
def test_the_order_of_sentences_and_of_words_matters() -> None:
    network = model()

    def score(document: list[list[int]]) -> float:
        inputs = {
            "word_ids": torch.tensor([document]),
            "word_counts": torch.tensor([[2, 2]]),
            "sentence_counts": torch.tensor([2]),
        }
        return round(network(inputs)["scores"][0, 0].item(), 5)

    assert len({score([[1, 2], [3, 4]]), score([[3, 4], [1, 2]]), score([[2, 1], [3, 4]])}) == 3
