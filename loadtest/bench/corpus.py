"""What is translated: the sentences of a test set, or those shipped here where there is none."""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from pathlib import Path

from sacrebleu.metrics.bleu import BLEU

DATA_VARIABLE = "SEQSERVE_DATA"
_DATA, _FOLDER, _SPLIT = "Multi30k en-de", "translation-multi30k", "test_2016_flickr"
_SHIPPED = Path(__file__).resolve().parents[1] / "samples" / "translate.txt"
_SHIPPED_REPEATS = 16


class CorpusError(ValueError):
    """Sentences that cannot be used; the message says which file and what to change."""


@dataclass(frozen=True)
class Corpus:
    """Sentences in an order that says nothing about their length, and their translations where they are known.

    `languages` are those of the sources and of the references.
    """

    data: str
    split: str
    sources: list[str]
    references: list[str] | None = None
    languages: tuple[str, str] = ("en", "de")

    @property
    def name(self) -> str:
        """How tables call it."""
        return f"{self.data} {self.split}"

    def bleu(self, translations: list[str]) -> Bleu | None:
        """BLEU against the references; None without them."""
        if self.references is None:
            return None
        lower, cased = BLEU(lowercase=True), BLEU()
        lowered = lower.corpus_score(translations, [self.references]).score
        kept = cased.corpus_score(translations, [self.references]).score
        return Bleu(lowered, kept, str(lower.get_signature()))


@dataclass(frozen=True)
class Bleu:
    """sacreBLEU of one system."""

    lower_cased: float
    cased: float
    signature: str


def load_corpus(data: Path | None) -> Corpus:
    """Multi30k `test_2016_flickr` from a data folder (the given one, else SEQSERVE_DATA), else the shipped captions.

    The shipped captions show speed and not quality: they have no translations.

    Raises:
        CorpusError: the data folder does not hold the test set.
    """
    named = data or (Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None)
    if named is None:
        captions = _SHIPPED.read_text(encoding="utf-8").splitlines()
        return Corpus("shipped captions", f"{_SHIPPED_REPEATS} × {len(captions)}", captions * _SHIPPED_REPEATS)
    source, reference = (named / _FOLDER / f"{_SPLIT}.{language}.gz" for language in ("en", "de"))
    sources, references = _lines(source), _lines(reference)
    if len(sources) != len(references):
        raise CorpusError(f"{source} has {len(sources)} lines and {reference} has {len(references)}")
    return Corpus(_DATA, _SPLIT, sources, references)


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise CorpusError(f"{path} does not exist: name the folder of the data sets by --data or {DATA_VARIABLE}")
    return gzip.decompress(path.read_bytes()).decode().removesuffix("\n").split("\n")
