"""Translation quality of a finished run."""

from __future__ import annotations

from sacrebleu.metrics.bleu import BLEU

from models.architecture import Generator
from models.data.batches import collate
from models.data.parallel import corpus_name, read_pairs
from models.registry import ConfigError
from models.tasks.translate.codecs import Codecs
from models.tasks.translate.config import TranslateConfig
from models.tasks.translate.data import read_split
from models.training.config import Split
from models.training.decode import greedy_decode
from models.training.run import Run

ROWS = 64
_CASED, _LOWER_CASED = BLEU(), BLEU(lowercase=True)


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
    """Greedy sacreBLEU on one split, lower-cased (`bleu_lower_cased`) and cased (`bleu`).

    Where the split is a list of corpora, each of them follows, as `<corpus>.bleu` and so on.
    """
    pairs = read_split(run.config.data, run.root, split)
    hypotheses = translate(run, [source for source, _ in pairs])
    references = [target for _, target in pairs]
    scores = _scores(hypotheses, references) | {"signature": str(_CASED.get_signature())}
    data = run.config.data
    corpora = {"train": (), "validation": data.validation or (), "test": data.test or ()}[split]
    start = 0
    for files in corpora if len(corpora) > 1 else ():
        end = start + len(read_pairs(files, run.root))
        part = _scores(hypotheses[start:end], references[start:end])
        scores |= {f"{corpus_name(files)}.{name}": value for name, value in part.items()}
        start = end
    return {"run": run.config.name, "split": split, **scores}


def _scores(hypotheses: list[str], references: list[str]) -> dict[str, str | int | float]:
    return {
        "sentences": len(hypotheses),
        "bleu_lower_cased": round(_LOWER_CASED.corpus_score(hypotheses, [references]).score, 2),
        "bleu": round(_CASED.corpus_score(hypotheses, [references]).score, 2),
    }
