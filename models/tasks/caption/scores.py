"""How close captions come to what people said about the same pictures: BLEU.

METEOR and CIDEr are not reported: of the libraries that compute them, `pycocoevalcap` runs METEOR and its tokenizer in
Java, and `aac-metrics` wants versions of NumPy and tokenizers that the rest of the package has left behind.
"""

from __future__ import annotations

from collections.abc import Sequence

from sacrebleu.metrics.bleu import BLEU

ORDERS = (1, 2, 3, 4)


def bleu(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Corpus BLEU of up to n-grams of each order, in points: `bleu_1` … `bleu_4` (Papineni et al. 2002).

    Texts are split at spaces alone: both sides are to be normalised as `normalise_caption` does.

    Args:
        hypotheses: a caption for each picture.
        references: of each picture, one or more captions.
    """
    most = max(map(len, references))
    streams = [[given[i % len(given)] for given in references] for i in range(most)]  # said twice counts once
    found = BLEU(tokenize="none").corpus_score(hypotheses, streams)
    scores = (
        BLEU.compute_bleu(found.counts, found.totals, found.sys_len, found.ref_len, max_ngram_order=order).score
        for order in ORDERS
    )
    return {f"bleu_{order}": score for order, score in zip(ORDERS, scores, strict=True)}
