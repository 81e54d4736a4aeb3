"""The live rows, driven by a toy model: whatever the traffic, every request gets what it would get alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.manifest import Limits, SpecialIds
from contract.rows import axis_sizes
from contract.signature import GenerateSignature
from service.runtime.batch import Batch, capacity_bucket
from service.runtime.member import Member
from service.runtime.requests import Hypothesis, Sampling, Search
from service.runtime.slots import Slots, bytes_per_slot, capacity_axes
from service.runtime.storage import CpuStorage
from tests.service.runtime.toy_model import (
    BOS,
    EOS,
    PICTURES,
    TEXTS,
    VOCABULARY,
    ToyStepper,
    encode,
    log_probabilities,
    row_of,
    seen,
)

LIMITS = Limits(source=50, target=40)
SPECIAL = SpecialIds(pad=0, unk=1, bos=BOS, eos=EOS)
both = pytest.mark.parametrize("signature", [TEXTS, PICTURES], ids=["texts", "pictures"])


def make_batch(signature: GenerateSignature, count: int) -> Batch:
    slots = Slots(signature, count, {axis: LIMITS.of(axis) for axis in capacity_axes(signature)}, CpuStorage)
    return Batch(slots, ToyStepper(slots), SPECIAL, LIMITS, VOCABULARY)


def join(
    batch: Batch,
    signature: GenerateSignature,
    requests: dict[int, tuple[list[int], Search]],
    *,
    streaming: bool = False,
) -> None:
    rows = [row_of(signature, source) for source, _ in requests.values()]
    members = [Member(search, streaming=streaming) for _, search in requests.values()]
    sizes = [axis_sizes(signature.inputs, row) for row in rows]
    columns = {axis: np.array([own[axis] for own in sizes]) for axis in sizes[0]}
    batch.join(list(requests), members, encode(signature, rows), columns)


def reference(source: list[int], search: Search) -> list[tuple[list[int], float]]:
    """Beam search over plain lists, as the module's docstring defines it."""
    beams: list[tuple[list[int], float]] = [([BOS], 0.0)]
    found: list[tuple[list[int], float, bool]] = []
    best_ended = False
    for step in range(search.max_length):
        continuations = sorted(
            (-(total + np.float32(score)), beam, rank, token)
            for beam, (tokens, total) in enumerate(beams)
            for rank, (token, score) in enumerate(_ranked(source, tokens))
        )[: 2 * search.beam_size]
        last = step + 1 == search.max_length
        for column, (total, beam, _, token) in enumerate(continuations[: search.beam_size]):
            if token == EOS or last:
                found.append((beams[beam][0][1:] + ([token] if token != EOS else []), -total, token == EOS))
                best_ended |= column == 0
        enough = len(found) >= search.beam_size
        if search.length_penalty == 0:
            enough = best_ended and len(found) >= search.alternatives
        if last or enough:
            break
        beams = [(beams[beam][0] + [token], -total) for total, beam, _, token in continuations if token != EOS]
        beams = beams[: search.beam_size]
    scored = [(ids, total / max(len(ids) + ended, 1) ** search.length_penalty) for ids, total, ended in found]
    return sorted(scored, key=lambda item: -item[1])[: search.alternatives]


def _ranked(source: list[int], tokens: list[int]) -> list[tuple[int, float]]:
    scores = log_probabilities(source, tokens)
    return [(int(token), float(scores[token])) for token in np.argsort(-scores, kind="stable")]


requests_strategy = st.lists(
    st.tuples(
        st.lists(st.integers(4, 10), min_size=1, max_size=50),
        st.integers(1, 5).flatmap(
            lambda beam_size: st.builds(
                Search,
                beam_size=st.just(beam_size),
                length_penalty=st.sampled_from([0.0, 0.6, 1.0]),
                max_length=st.one_of(st.integers(1, 12), st.just(45)),
                alternatives=st.integers(1, beam_size),
            )
        ),
    ),
    min_size=1,
    max_size=10,
)


@both
@settings(max_examples=40, deadline=None)
@given(requests=requests_strategy, count=st.integers(5, 12), random=st.randoms(use_true_random=False))
def test_every_request_gets_what_it_would_get_alone(
    signature: GenerateSignature, requests: list[tuple[list[int], Search]], count: int, random: object
) -> None:
    batch = make_batch(signature, count)
    waiting = dict(enumerate(requests))
    results: dict[int, list[Hypothesis]] = {}
    dropped: set[int] = set()
    while waiting or batch.members:
        newcomers: dict[int, tuple[list[int], Search]] = {}
        free = batch.free
        for owner in list(waiting):
            width = waiting[owner][1].beam_size
            if width <= free and random.random() < 0.6:  # type: ignore[attr-defined]
                free -= width
                newcomers[owner] = waiting.pop(owner)
        if newcomers:
            join(batch, signature, newcomers)
        if batch.members and random.random() < 0.1:  # type: ignore[attr-defined]
            victim = random.choice(sorted(batch.members))  # type: ignore[attr-defined]
            batch.drop([victim])
            dropped.add(victim)
        if batch.members:
            results |= {owner: member.hypotheses() for owner, member in batch.step().done}
    assert batch.free == count
    assert batch.live == 0
    assert set(results) | dropped == set(range(len(requests)))
    for owner, found in results.items():
        source, search = requests[owner]
        limited = Search(
            beam_size=search.beam_size,
            length_penalty=search.length_penalty,
            max_length=min(search.max_length, LIMITS.target),
            alternatives=search.alternatives,
        )
        expected = reference(seen(signature, source), limited)
        assert [hypothesis.token_ids for hypothesis in found] == [ids for ids, _ in expected]
        assert [hypothesis.score for hypothesis in found] == pytest.approx([score for _, score in expected], abs=1e-4)


@both
@settings(max_examples=20, deadline=None)
@given(
    beam_size=st.integers(1, 5),
    source=st.lists(st.integers(4, 10), min_size=1, max_size=9),
    max_length=st.integers(1, 40),
)
def test_streamed_ids_are_never_taken_back(
    signature: GenerateSignature, beam_size: int, source: list[int], max_length: int
) -> None:
    batch = make_batch(signature, 8)
    join(batch, signature, {7: (source, Search(beam_size=beam_size, max_length=max_length))}, streaming=True)
    streamed: list[int] = []
    done = []
    while not done:
        progress = batch.step()
        streamed += [token for _, ids in progress.streamed for token in ids]
        done = progress.done
    assert streamed == done[0][1].hypotheses()[0].token_ids


def test_a_sampled_text_depends_on_its_seed_alone() -> None:
    source = [5, 6, 7]

    def run(seed: int, neighbours: int) -> list[int]:
        batch = make_batch(TEXTS, 8)
        others = {100 + i: ([4 + i], Search(max_length=30, sampling=Sampling(seed=i))) for i in range(neighbours)}
        mine = Search(max_length=30, sampling=Sampling(seed=seed, top_k=VOCABULARY))
        join(batch, TEXTS, {**others, 1: (source, mine)})
        while True:
            for owner, member in batch.step().done:
                if owner == 1:
                    return member.hypotheses()[0].token_ids

    assert run(3, 0) == run(3, 5)
    assert len({tuple(run(seed, 0)) for seed in range(6)}) > 1


@pytest.mark.parametrize(
    ("length", "grain", "limit", "capacity"),
    [
        (1, 8, 128, 8),
        (8, 8, 128, 8),
        (9, 8, 128, 16),
        (33, 8, 128, 64),
        (128, 8, 128, 128),
        (30, 8, 31, 31),
        (3, 32, 99, 32),
    ],
)
def test_capacity_bucket(length: int, grain: int, limit: int, capacity: int) -> None:
    assert capacity_bucket(length, grain, limit) == capacity


def test_bytes_per_slot_counts_replaced_states_twice() -> None:
    assert bytes_per_slot(TEXTS, {"source": 10, "target": 5}) == 8 + 10 * 2 * 4 + 2 * (3 * 4) + 2 * 5 * 4
    assert bytes_per_slot(PICTURES, {"target": 5}) == 4 * 2 * 4 + 2 * (3 * 4) + 2 * 5 * 4


def test_capacity_is_kept_along_axes_whose_size_varies() -> None:
    assert capacity_axes(TEXTS) == ("source", "target")
    assert capacity_axes(PICTURES) == ("target",)
