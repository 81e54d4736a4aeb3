"""BLEU against the length of the source: what a translator that must remember a whole sentence forgets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from sacrebleu.metrics.bleu import BLEU

from export.results.record import Bucket

BOUNDS: tuple[int | None, ...] = (1, 8, 11, 14, 17, 21, None)
"""Words of a source from which each bucket begins, and the end of the last."""


def bleu_by_length(sources: Sequence[str], hypotheses: Sequence[str], references: Sequence[str]) -> tuple[Bucket, ...]:
    """Lower-cased corpus BLEU of the sentences of each bucket; empty buckets are left out."""
    triples = list(zip(sources, hypotheses, references, strict=True))
    buckets = []
    for lowest, following in pairwise(BOUNDS):
        assert lowest is not None
        held = [(hypothesis, reference) for source, hypothesis, reference in triples if _in(source, lowest, following)]
        if held:
            texts, wanted = ([pair[side] for pair in held] for side in (0, 1))
            score = BLEU(lowercase=True).corpus_score(texts, [wanted]).score
            highest = None if following is None else following - 1
            buckets.append(Bucket(lowest=lowest, highest=highest, sentences=len(held), bleu=round(score, 2)))
    return tuple(buckets)


def _in(source: str, lowest: int, following: int | None) -> bool:
    length = len(source.split())
    return length >= lowest and (following is None or length < following)
