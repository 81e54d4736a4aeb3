"""BLEU through `/v1/translate`, with each bundle's own decoding defaults, in every precision that runs here."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from contract.manifest import Manifest, Precision, Score, load_manifest
from contract.versions import latest_version
from loadtest.bench.client import post_all
from loadtest.bench.corpus import Bleu, Corpus, CorpusError
from loadtest.bench.overhead import translate_bodies
from loadtest.bench.server import run_service
from loadtest.bench.table import Table

_CONNECTIONS = 16


@dataclass(frozen=True)
class Judged:
    """One model in one precision."""

    model: str
    version: str
    precision: Precision
    bleu: Bleu


@dataclass(frozen=True)
class Quality:
    """All that was measured."""

    data: str
    split: str
    judged: list[Judged]

    def tables(self) -> list[Table]:
        """One row a model and precision."""
        rows = [
            (f"{j.model} {j.version}", j.precision, f"{j.bleu.lower_cased:.2f}", f"{j.bleu.cased:.2f}")
            for j in self.judged
        ]
        caption = f"sacreBLEU on {self.data} {self.split}, through `/v1/translate` with each bundle's defaults"
        return [Table(caption, ("model", "precision", "lower-cased", "cased"), rows)]

    def scores(self, model: str) -> list[Score]:
        """A model's figures as its manifest records them (`python -m export record BUNDLE SCORES`)."""
        return [
            Score(
                metric=metric,
                value=round(value, 2),
                data=self.data,
                split=self.split,
                precision=judged.precision,
                note=f"through /v1/translate with the bundle's defaults; sacreBLEU {judged.bleu.signature}",
            )
            for judged in self.judged
            if judged.model == model
            for metric, value in (("BLEU, lower-cased", judged.bleu.lower_cased), ("BLEU, cased", judged.bleu.cased))
        ]


def measure_quality(
    bundles: Sequence[Path], corpus: Corpus, *, report: Callable[[str], None] = lambda _: None
) -> Quality:
    """Translate the corpus with the newest version of every bundle `NAME/` of its languages, in each precision on CPU.

    Raises:
        CorpusError: the corpus has no references.
    """
    if corpus.references is None:
        raise CorpusError(f"{corpus.name} have no translations to compare with: name the data sets' folder by --data")
    judged = []
    for bundle in bundles:
        manifest = load_manifest(latest_version(bundle))
        if not _reads(manifest, corpus):
            continue
        for precision in (variant.precision for variant in manifest.variants if variant.provider != "cuda"):
            report(f"{manifest.name} in {precision}")
            with run_service([bundle], "--provider", "cpu", "--precision", precision) as server:
                bodies = translate_bodies(manifest.name, corpus.sources)
                replies = post_all(f"{server.url}/v1/translate", bodies, _CONNECTIONS).replies
            bleu = corpus.bleu([json.loads(reply)["translations"][0]["text"] for reply in replies])
            assert bleu is not None
            judged.append(Judged(manifest.name, manifest.version, precision, bleu))
    return Quality(corpus.data, corpus.split, judged)


def _reads(manifest: Manifest, corpus: Corpus) -> bool:
    """Whether a bundle translates between a corpus's languages."""
    if manifest.task != "translate":
        return False
    return (manifest.text.source_language, manifest.text.target_language) == corpus.languages
