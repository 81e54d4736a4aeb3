from __future__ import annotations

from math import prod
from pathlib import Path

import torch
from hypothesis import given
from hypothesis import strategies as st

from models.data.batches import Batch, Epoch, IdPair, collate, encode_pairs, pair_sizes, plan_batches
from models.data.parallel import LineAligned, read_pairs
from models.data.tokenizer import TokenizerConfig, train_codecs

DATA = Path(__file__).parents[2] / "data" / "parallel"
TEXTS = read_pairs(LineAligned(source="train.en", target="train.de"), DATA)
SOURCE, TARGET = train_codecs(TEXTS, TokenizerConfig(vocabulary_size=120))

sides = st.integers(min_value=1, max_value=30)
id_pairs = st.lists(st.tuples(sides, sides), min_size=1, max_size=60).map(
    lambda sizes: [([4] * source, [5] * target) for source, target in sizes]
)


def padded_tokens(pairs: list[IdPair], rows: list[int]) -> int:
    return len(rows) * (max(len(pairs[i][0]) for i in rows) + max(len(pairs[i][1]) + 1 for i in rows))


@given(id_pairs, st.integers(min_value=1, max_value=400), st.integers(min_value=0, max_value=5))
def test_a_plan_holds_every_pair_once_within_the_budget(pairs: list[IdPair], budget: int, seed: int) -> None:
    plan = plan_batches(pair_sizes(pairs), budget, seed)
    assert sorted(i for rows in plan for i in rows) == list(range(len(pairs)))
    for rows in plan:
        assert len(rows) == 1 or padded_tokens(pairs, rows) <= budget


@given(st.lists(st.tuples(sides, sides), min_size=1, max_size=60), st.integers(min_value=1, max_value=2_000))
def test_axes_of_one_tensor_are_planned_by_their_product(shapes: list[tuple[int, int]], budget: int) -> None:
    plan = plan_batches(shapes, budget, seed=1, padded=prod)
    assert sorted(i for rows in plan for i in rows) == list(range(len(shapes)))
    for rows in plan:
        longest, widest = (max(shapes[i][axis] for i in rows) for axis in (0, 1))
        assert len(rows) == 1 or len(rows) * longest * widest <= budget


def test_a_plan_follows_its_seed() -> None:
    pairs = encode_pairs(TEXTS, SOURCE, TARGET, 64)
    sizes = pair_sizes(pairs)
    assert plan_batches(sizes, 300, seed=1) == plan_batches(sizes, 300, seed=1)
    assert plan_batches(sizes, 300, seed=1) != plan_batches(sizes, 300, seed=2)


def test_little_of_a_batch_is_padding() -> None:
    pairs = encode_pairs(TEXTS, SOURCE, TARGET, 64)
    padded = sum(padded_tokens(pairs, rows) for rows in plan_batches(pair_sizes(pairs), 400, seed=1))
    assert padded < 1.15 * sum(len(source) + len(target) + 1 for source, target in pairs)


def test_a_batch_is_padded_shifted_and_closed() -> None:
    batch = collate([([7, 8, 3], [9]), ([7, 3], [9, 10])], pad=0, bos=2, eos=3)
    assert batch.source_ids.tolist() == [[7, 8, 3], [7, 3, 0]]
    assert batch.source_lengths.tolist() == [3, 2]
    assert batch.target_ids.tolist() == [[2, 9, 0], [2, 9, 10]]
    assert batch.labels.tolist() == [[9, 3, 0], [9, 10, 3]]


def test_sources_are_closed_and_long_pairs_left_out() -> None:
    (source, target), *others = encode_pairs([("A dog", "Ein Hund"), ("A dog " * 40, "Ein Hund")], SOURCE, TARGET, 20)
    assert others == []
    assert source == [*SOURCE.encode("A dog").ids, SOURCE.eos]
    assert target == TARGET.encode("Ein Hund").ids


def test_the_longest_pair_kept_fills_the_positions() -> None:
    length = len(SOURCE.encode(TEXTS[0][0]).ids)
    longest = max(length, len(TARGET.encode(TEXTS[0][1]).ids))
    assert len(encode_pairs(TEXTS[:1], SOURCE, TARGET, longest + 1)) == 1
    assert encode_pairs(TEXTS[:1], SOURCE, TARGET, longest) == []


@given(st.integers(min_value=1, max_value=4))
def test_processes_share_an_epoch_evenly(world: int) -> None:
    pairs = encode_pairs(TEXTS, SOURCE, TARGET, 64)
    plan = plan_batches(pair_sizes(pairs), 200, seed=1)

    def make(rows: list[int]) -> Batch:
        return collate([pairs[i] for i in rows], pad=0, bos=2, eos=3)

    shares = [list(Epoch(plan, make, rank, world)) for rank in range(world)]
    assert {len(share) for share in shares} == {len(plan) // world}
    rows = sum(len(batch.labels) for share in shares for batch in share)
    assert rows == sum(map(len, plan[: len(plan) - len(plan) % world]))
    assert torch.equal(shares[0][0].source_ids, make(plan[0]).source_ids)
