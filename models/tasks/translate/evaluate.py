"""Translation quality of a finished run."""

from __future__ import annotations

from sacrebleu.metrics.bleu import BLEU

from models.architecture import Generator
from models.data.batches import collate
from models.registry import ConfigError
from models.tasks.translate.codecs import Codecs
from models.tasks.translate.config import TranslateConfig
from models.tasks.translate.data import read_split
from models.training.config import Split
from models.training.decode import greedy_decode
from models.training.run import Run

ROWS = 64


def translate(run: Run[TranslateConfig, Codecs], texts: list[str]) -> list[str]:
    """Greedy translations, in the order of the texts."""
    if not isinstance(run.model, Generator):
        raise ConfigError(f"{run.path}: architecture {run.config.architecture_name!r} cannot translate")
    sources = [run.vocabulary.source.source(text).ids for text in texts]
    order = sorted(range(len(texts)), key=lambda i: len(sources[i]))
    translations = [""] * len(texts)
    target, length = run.vocabulary.target, run.config.data.max_length
    for start in range(0, len(order), ROWS):
        rows = order[start : start + ROWS]
        batch = collate([(sources[i], []) for i in rows], pad=target.pad, bos=target.bos, eos=target.eos)
        decoded = greedy_decode(run.model, batch.inputs, bos=target.bos, eos=target.eos, max_length=length)
        for i, ids in zip(rows, decoded, strict=True):
            translations[i] = target.decode(ids)
    return translations


def bleu_scores(run: Run[TranslateConfig, Codecs], split: Split) -> dict[str, str | int | float]:
    """Greedy sacreBLEU on one split, lower-cased (`bleu_lower_cased`) and cased (`bleu`)."""
    pairs = read_split(run.config.data, run.root, split)
    hypotheses = translate(run, [source for source, _ in pairs])
    references = [[target for _, target in pairs]]
    lower, cased = BLEU(lowercase=True), BLEU()
    return {
        "run": run.config.name,
        "split": split,
        "sentences": len(pairs),
        "bleu_lower_cased": round(lower.corpus_score(hypotheses, references).score, 2),
        "bleu": round(cased.corpus_score(hypotheses, references).score, 2),
        "signature": str(cased.get_signature()),
    }
