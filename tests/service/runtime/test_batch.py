"""The live rows, driven by a toy model: whatever the traffic, every request gets what it would get alone."""

from __future__ import annotations

from dataclasses import replace

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
    LONGEST_PROMPT,
    PICTURES,
    PROMPTS,
    TEXTS,
    VOCABULARY,
    ToyStepper,
    encode,
    log_probabilities,
    prompt_of,
    row_of,
    seen,
)

LIMITS = Limits(source=50, target=40)
SPECIAL = SpecialIds(pad=0, unk=1, bos=BOS, eos=EOS)
every = pytest.mark.parametrize("signature", [TEXTS, PICTURES, PROMPTS], ids=["texts", "pictures", "prompts"])


def make_batch(signature: GenerateSignature, count: int, special: SpecialIds = SPECIAL) -> Batch:
    slots = Slots(signature, count, {axis: LIMITS.of(axis) for axis in capacity_axes(signature)}, CpuStorage)
    return Batch(slots, ToyStepper(slots), special, LIMITS, VOCABULARY)


def join(
    batch: Batch,
    signature: GenerateSignature,
    requests: dict[int, tuple[list[int], Search]],
    *,
    streaming: bool = False,
) -> None:
    rows = [row_of(signature, source) for source, _ in requests.values()]
    prompts = [prompt_of(signature, source) for source, _ in requests.values()]
    members = [
        Member(search, streaming, prompt[-1], len(prompt) - 1)
        for (_, search), prompt in zip(requests.values(), prompts, strict=True)
    ]
    sizes = [axis_sizes(signature.inputs, row) for row in rows]
    columns = {axis: np.array([own[axis] for own in sizes]) for axis in sizes[0]}
    batch.join(list(requests), members, encode(signature, rows), columns)


def reference(source: list[int], prompt: list[int], search: Search) -> list[tuple[list[int], float]]:
    """Beam search over plain lists, as the module's docstring defines it."""
    beams: list[tuple[list[int], float]] = [(prompt, 0.0)]
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
                found.append((beams[beam][0][len(prompt) :] + ([token] if token != EOS else []), -total, token == EOS))
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


def drawn(source: list[int], prompt: list[int], search: Search) -> list[tuple[list[int], float]]:
    """Tokens drawn one by one, as the words of `Sampling` define it."""
    sampling = search.sampling
    assert sampling is not None
    generator = np.random.default_rng(sampling.seed)
    tokens, total, ended = list(prompt), 0.0, False
    while not ended and len(tokens) - len(prompt) < search.max_length:
        best = _ranked(source, tokens)[: sampling.top_k]
        weights = [np.exp((score - best[0][1]) / sampling.temperature) for _, score in best]
        kept = next(n for n in range(1, len(best) + 1) if sum(weights[:n]) >= (sampling.top_p - 1e-9) * sum(weights))
        threshold = generator.random() * sum(weights[:kept])
        token, score = best[next(n for n in range(kept) if sum(weights[: n + 1]) > threshold)]
        tokens, total, ended = [*tokens, token], total + score, token == EOS
    ids = tokens[len(prompt) : len(tokens) - ended]
    return [(ids, total / (len(ids) + ended) ** search.length_penalty)]


def _ranked(source: list[int], tokens: list[int]) -> list[tuple[int, float]]:
    scores = log_probabilities(source, tokens)
    return [(int(token), float(scores[token])) for token in np.argsort(-scores, kind="stable")]


lengths = st.one_of(st.integers(1, 12), st.just(45))
beam_searches = st.integers(1, 5).flatmap(
    lambda beam_size: st.builds(
        Search,
        beam_size=st.just(beam_size),
        length_penalty=st.sampled_from([0.0, 0.6, 1.0]),
        max_length=lengths,
        alternatives=st.integers(1, beam_size),
    )
)
draws = st.builds(
    Search,
    max_length=lengths,
    sampling=st.builds(
        Sampling,
        temperature=st.floats(0.2, 3),
        top_k=st.integers(1, VOCABULARY),
        top_p=st.floats(0.05, 1),
        seed=st.integers(0, 2**32 - 1),
    ),
)
requests_strategy = st.lists(
    st.tuples(st.lists(st.integers(4, 10), min_size=1, max_size=50), beam_searches | draws), min_size=1, max_size=10
)


@every
@settings(max_examples=40)
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
        prompt = prompt_of(signature, source)
        limited = replace(search, max_length=min(search.max_length, LIMITS.of("target") - len(prompt) + 1))
        find = reference if search.sampling is None else drawn
        expected = find(seen(signature, source), prompt, limited)
        assert [hypothesis.token_ids for hypothesis in found] == [ids for ids, _ in expected]
        assert [hypothesis.score for hypothesis in found] == pytest.approx([score for _, score in expected], abs=1e-4)


@every
@settings(max_examples=20)
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


def test_an_empty_prompt_starts_with_bos_and_a_long_one_leaves_what_the_limit_does() -> None:
    batch = make_batch(PROMPTS, 4)
    long = [4] * LONGEST_PROMPT
    join(batch, PROMPTS, {1: ([], Search(max_length=5)), 2: (long, Search(beam_size=2, max_length=99))})
    found: dict[int, list[Hypothesis]] = {}
    while batch.members:
        found |= {owner: member.hypotheses() for owner, member in batch.step().done}
    assert found[1][0].token_ids == reference([], [BOS], Search(max_length=5))[0][0]
    left = LIMITS.of("target") - LONGEST_PROMPT
    assert found[2][0].token_ids == reference([], [BOS, *long], Search(beam_size=2, max_length=left))[0][0]


def test_without_an_end_token_a_text_stops_at_the_length_asked_for() -> None:
    batch = make_batch(PROMPTS, 5, SpecialIds(pad=0, unk=1, bos=BOS))
    searches = {7: Search(max_length=7), 9: Search(max_length=9, sampling=Sampling(seed=1)), 3: Search(3, max_length=3)}
    join(batch, PROMPTS, {owner: ([5, 6], search) for owner, search in searches.items()})
    lengths = {}
    while batch.members:
        lengths |= {owner: member.hypotheses()[0] for owner, member in batch.step().done}
    assert {owner: len(best.token_ids) for owner, best in lengths.items()} == {7: 7, 9: 9, 3: 3}
    assert not any(best.finished for best in lengths.values())


def test_a_seed_draws_the_same_text_whatever_else_is_running_to_the_last_bit() -> None:
    mine = Search(max_length=30, sampling=Sampling(seed=3, top_k=6, top_p=0.9, temperature=1.3))

    def run(search: Search, company: dict[int, Search], later: dict[int, Search]) -> tuple[list[int], float]:
        batch = make_batch(PROMPTS, 12)
        join(batch, PROMPTS, {**{owner: ([4], each) for owner, each in company.items()}, 1: ([5, 6], search)})
        while True:
            for owner, member in batch.step().done:
                if owner == 1:
                    return member.hypotheses()[0].token_ids, member.hypotheses()[0].log_probability
            newcomers = {owner: later.pop(owner) for owner in list(later)[:1] if batch.free > 3}
            if newcomers:
                join(batch, PROMPTS, {owner: ([7] * owner, each) for owner, each in newcomers.items()})

    wide = Sampling(seed=3, top_k=VOCABULARY)
    others = {2: Search(max_length=4), 3: Search(beam_size=3, max_length=5), 4: Search(max_length=9, sampling=wide)}
    alone = run(mine, {}, {})
    assert run(mine, others, {}) == alone
    assert run(mine, {}, dict(others)) == alone
    assert run(mine, {4: others[4]}, {5: others[2], 6: Search(4, max_length=30)}) == alone
    other_seeds = [mine.sampling.model_copy(update={"seed": seed}) for seed in range(6)] if mine.sampling else []
    assert len({tuple(run(replace(mine, sampling=each), {}, {})[0]) for each in other_seeds}) > 1


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
    assert capacity_axes(PROMPTS) == ("target",)
