"""What the systems are asked, by task: sentences, sessions or pictures, one a request."""

from __future__ import annotations

import base64
import math
import random
from pathlib import Path
from typing import Any

from contract.items import Catalogue
from contract.manifest import BundleError, load_manifest
from contract.preprocessing import ItemPreprocessing
from loadtest.bench.corpus import Corpus
from loadtest.bench.systems import FIELDS
from loadtest.pictures import load_pictures

_SESSIONS, _PICTURES = 4000, 24
_MEAN_SESSION, _LONGEST_SESSION = 4.6, 50


def what_to_ask(bundle: Path, corpus: Corpus, pictures: Path | None) -> list[Any]:
    """Different requests to the model of a bundle `NAME/VERSION/`; pictures are in base64.

    Raises:
        BundleError: it is of a task that is not compared.
    """
    manifest = load_manifest(bundle)
    if manifest.task not in FIELDS:
        raise BundleError(bundle, [f"its task is {manifest.task}: name one of {', '.join(FIELDS)}"])
    if manifest.task == "caption":
        return [base64.b64encode(picture).decode() for picture in load_pictures(_PICTURES, pictures)]
    if isinstance(manifest.preprocessing, ItemPreprocessing):
        return random_sessions(Catalogue.load(bundle / manifest.preprocessing.catalogue), _SESSIONS)
    return list(corpus.sources)


def random_sessions(catalogue: Catalogue, count: int, seed: int = 1) -> list[list[Any]]:
    """Sessions as long as those of a web shop: geometric, 4.6 items on average, 50 at most."""
    generator = random.Random(seed)  # noqa: S311  # traffic, not secrets
    ends = math.log(1 + 1 / (_MEAN_SESSION - 1))
    lengths = (1 + int(generator.expovariate(ends)) for _ in range(count))
    return [generator.choices(catalogue.ids, k=min(length, _LONGEST_SESSION)) for length in lengths]
