from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from models.answerer import FIRST_ANSWER
from models.architectures.memory_network import MemoryNetwork, MemoryNetworkConfig
from tests.predict_battery import VOCABULARY, PredictBattery, random_batch, tensors

ANSWERS = 5


class TestMemoryNetwork(PredictBattery):
    task = "answer"
    architecture = "memory_network"
    vocabularies = {"vocabulary_size": VOCABULARY, "answer_count": ANSWERS, "max_sentences": 5, "max_words": 7}
    sizes = {"hidden_size": 12}
    axes = {"tying": ("adjacent", "layer_wise"), "encoding": ("position", "bag"), "hops": (3, 1)}
    learning_rate = 0.03


def network(**fields: Any) -> MemoryNetwork:
    torch.manual_seed(0)
    sizes = {
        "vocabulary_size": VOCABULARY,
        "answer_count": ANSWERS,
        "max_sentences": 9,
        "max_words": 5,
        "hidden_size": 4,
    }
    return MemoryNetwork(MemoryNetworkConfig(**sizes | fields)).eval()


STORY = {
    "word_ids": torch.tensor([[[3, 4, 0], [5, 6, 7]]]),
    "word_counts": torch.tensor([[2, 3]]),
    "sentence_counts": torch.tensor([2]),
    "question_ids": torch.tensor([[8, 9]]),
    "question_lengths": torch.tensor([2]),
}


def softmax(x: np.ndarray) -> np.ndarray:
    weights: np.ndarray = np.exp(x) / np.exp(x).sum()
    return weights


@pytest.mark.parametrize("tying", ["adjacent", "layer_wise"])
def test_the_equations_are_those_of_the_paper(tying: str) -> None:
    model = network(tying=tying, hops=2)
    with torch.no_grad():
        scores, attention = model(STORY)["scores"][0].numpy(), model.explain(STORY)["attention"][0].numpy()
    weight = {name: p.detach().numpy() for name, p in model.named_parameters()}
    words, times = (np.split(weight[name], len(weight[name].T) // 4, axis=1) for name in ("words.weight", "times"))

    def sentence(ids: list[int], table: np.ndarray) -> np.ndarray:
        total, k = np.zeros(4), np.arange(1, 5) / 4
        for j, word in enumerate(ids, 1):
            place = j / 5
            total += 2 * ((1 - place) - k * (1 - 2 * place)) * table[word]
        return total

    def memory(table: int) -> np.ndarray:
        return np.stack([sentence(ids, words[table]) + times[table][age] for ids, age in (([3, 4], 1), ([5, 6, 7], 0))])

    adjacent = tying == "adjacent"
    state = sentence([8, 9], words[0] if adjacent else weight["question.weight"])
    looks = []
    for hop in range(2):
        first = hop if adjacent else 0
        looks.append(softmax(np.append(memory(first) @ state, np.zeros(7)))[:2])  # seven memories are empty
        state = (state if adjacent else weight["carry.weight"] @ state) + looks[-1] @ memory(first + 1)
    answers = words[2][FIRST_ANSWER : FIRST_ANSWER + ANSWERS] if adjacent else weight["output.weight"]
    np.testing.assert_allclose(attention, looks, rtol=1e-5)
    np.testing.assert_allclose(np.exp(scores), softmax(answers @ state), rtol=1e-5)


@torch.no_grad()
def test_a_linear_start_is_without_the_softmax() -> None:
    model = network(hops=1)
    keys, values = model._memories(STORY, STORY["sentence_counts"]).split(4, dim=2)
    state = model._ask(STORY["question_ids"], STORY["question_lengths"])
    expected = state + (keys[0] @ state[0]) @ values[0]
    answers = model.words.table(1, slice(FIRST_ANSWER, FIRST_ANSWER + ANSWERS))
    torch.testing.assert_close(model.answer(STORY, linear=True), expected @ answers.T)
    assert not torch.allclose(model.answer(STORY), model.answer(STORY, linear=True))


@torch.no_grad()
def test_training_differs_by_its_noise_alone() -> None:
    for noise, same in ((0.0, True), (1.0, False)):
        model = network(time_noise=noise)
        batch = tensors(random_batch(model, "mixed", seed=1))
        expected = model(batch)["scores"]
        assert torch.allclose(model.train()(batch)["scores"], expected, atol=1e-6) is same


@torch.no_grad()
def test_sentences_older_than_the_table_of_times_are_read_as_the_oldest() -> None:
    model = network(max_sentences=2, hops=1)
    story = STORY | {
        "word_ids": torch.tensor([[[3], [3], [3], [4]]]),
        "word_counts": torch.ones(1, 4, dtype=torch.long),
        "sentence_counts": torch.tensor([4]),
    }
    first, second, third, _ = model.explain(story)["attention"][0, 0]
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(second, third)


@torch.no_grad()
def test_the_order_of_sentences_matters_and_that_of_words_by_their_encoding() -> None:
    def score(model: MemoryNetwork, words: list[list[int]]) -> float:
        return round(model(STORY | {"word_ids": torch.tensor([words])})["scores"][0, 0].item(), 6)

    told, swapped, reordered = [[3, 4, 0], [5, 6, 7]], [[3, 4, 0], [7, 6, 5]], [[4, 3, 0], [5, 6, 7]]
    by_place, by_bag = network(), network(encoding="bag")
    assert len({score(by_place, story) for story in (told, swapped, reordered)}) == 3
    assert len({score(by_bag, story) for story in (told, swapped, reordered)}) == 1
    later = STORY | {"word_ids": torch.tensor([[[5, 6, 7], [3, 4, 0]]]), "word_counts": torch.tensor([[3, 2]])}
    assert not torch.allclose(by_bag(later)["scores"], by_bag(STORY)["scores"], atol=1e-5)
