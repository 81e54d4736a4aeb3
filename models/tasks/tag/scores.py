"""Entity scores as the CoNLL shared tasks count them: an entity is right when its label and both its ends are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from models.data.tagged import Span


def entity_scores(predicted: Iterable[Sequence[Span]], gold: Iterable[Sequence[Span]]) -> dict[str, float]:
    """Precision, recall and F1 of all texts' entities together, in points (0 to 100), F1 first."""
    right = given = wanted = 0
    for ours, theirs in zip(predicted, gold, strict=True):
        right += len(set(ours) & set(theirs))
        given += len(ours)
        wanted += len(theirs)
    precision, recall = (100 * right / total if total else 0.0 for total in (given, wanted))
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {"f1": f1, "precision": precision, "recall": recall}
