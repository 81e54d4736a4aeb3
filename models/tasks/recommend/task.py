"""Session-based recommendation as a training task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from contract.inputs import EXCLUDE, session_row
from contract.items import DUMMY
from contract.manifest import Limits
from contract.preprocessing import ItemPreprocessing
from contract.rows import Array, Row
from models.architecture import Architecture
from models.data.sessions import Case
from models.recommender import ITEM_COUNTS, ITEM_IDS, Recommender
from models.registry import ConfigError
from models.tasks.recommend.config import RecommendConfig
from models.tasks.recommend.data import (
    CATALOGUE,
    FOLLOWING,
    FREQUENCIES,
    RecommendVocabulary,
    encode,
    read_training,
    split_cases,
    spread,
    training_rows,
)
from models.tasks.recommend.module import CUTOFF, RecommendModule
from models.training.config import Split
from models.training.data import RowData
from models.training.run import Run
from models.training.task import OneShotTask, check_positions

MOST_FILTERS = 1_000
MOST_CANDIDATES = 100

RecommendRun = Run[RecommendConfig, RecommendVocabulary]


class RecommendTask(OneShotTask[RecommendConfig, RecommendVocabulary]):
    """The next item of a session with any recommender.

    Protocol of the metrics, that of the papers: each prefix of each test session is a case, its target ranked among
    all items of the catalogue, those of the prefix included; recall is the share of cases with the target among the
    first 20, MRR the mean of 1 / rank with 0 past rank 20. Items that the catalogue does not have are skipped in a
    prefix; a target that it does not have is a miss, and so is a prefix of which nothing is left.
    """

    config = RecommendConfig
    scores = ("mrr", "recall")
    titles: ClassVar[Mapping[str, str]] = {"mrr": f"MRR@{CUTOFF}", "recall": f"Recall@{CUTOFF}"}
    files = (CATALOGUE, FREQUENCIES)

    def learn(self, config: RecommendConfig, root: Path) -> RecommendVocabulary:
        return RecommendVocabulary.learn(*read_training(config.data, root))

    def load(self, folder: Path) -> RecommendVocabulary:
        return RecommendVocabulary.load(folder)

    def sizes(self, config: RecommendConfig, vocabulary: RecommendVocabulary) -> dict[str, Any]:
        return {"item_count": vocabulary.catalogue.size}

    def data(self, config: RecommendConfig, vocabulary: RecommendVocabulary, root: Path) -> RowData:
        train, validation = read_training(config.data, root)
        validation = spread(validation, config.training.validation_sessions)
        rows, held_out = (
            training_rows(part, vocabulary.catalogue, config.data.max_length) for part in (train, validation)
        )
        return RowData(
            (ITEM_IDS, ITEM_COUNTS, FOLLOWING),
            lambda _epoch: rows,
            held_out,
            batch_tokens=config.training.batch_tokens,
            seed=config.seed,
        )

    def module(
        self, model: Architecture, config: RecommendConfig, vocabulary: RecommendVocabulary, total_steps: int
    ) -> RecommendModule:
        if not isinstance(model, Recommender):
            raise ConfigError(f"architecture {config.architecture_name!r} is not a recommender")
        check_positions(model, config.data.max_length)
        frequencies = torch.from_numpy(vocabulary.frequencies)
        return RecommendModule(model, config.training, frequencies, seed=config.seed, total_steps=total_steps)

    def examples(self, run: RecommendRun, split: Split) -> list[Case]:
        return split_cases(run.config.data, run.root, split)

    def inputs(self, run: RecommendRun, example: Case) -> Row:
        known = encode(example.prefix, run.vocabulary.catalogue)[-run.config.data.max_length :]
        return session_row(known or [DUMMY], [], EXCLUDE, min(CUTOFF, self.vocabulary_size(run) - 1))

    def random_inputs(self, run: RecommendRun, sizes: Mapping[str, int], generator: np.random.Generator) -> Row:
        size = self.vocabulary_size(run)
        items, filters = (generator.integers(1, size, sizes[axis]).tolist() for axis in ("items", "filters"))
        return session_row(items, filters, int(generator.integers(0, 2)), sizes["k"])

    def metrics(
        self, run: RecommendRun, outputs: Sequence[Mapping[str, Array]], examples: Sequence[Case]
    ) -> dict[str, float]:
        """MRR@20 and Recall@20; equal scores rank as the graph ranks them."""
        catalogue = run.vocabulary.catalogue
        ranks: list[float] = []
        for output, example in zip(outputs, examples, strict=True):
            target = catalogue.parse(example.target)
            readable = any(catalogue.parse(item) is not None for item in example.prefix)
            candidates = output["candidates"][:CUTOFF].tolist() if readable else []
            ranks.append(candidates.index(target) + 1 if target in candidates else np.inf)
        rank = np.array(ranks)
        return {"mrr": 100 * float((1 / rank).mean()), "recall": 100 * float(np.isfinite(rank).mean())}

    def preprocessing(self, run: RecommendRun, folder: Path) -> ItemPreprocessing:
        run.vocabulary.catalogue.save(folder / CATALOGUE)
        return ItemPreprocessing(catalogue=CATALOGUE)

    def limits(self, run: RecommendRun) -> Limits:
        most = run.vocabulary.catalogue.size - 1
        return Limits(items=run.config.data.max_length, filters=MOST_FILTERS, k=min(MOST_CANDIDATES, most))

    def vocabulary_size(self, run: RecommendRun) -> int:
        return run.vocabulary.catalogue.size
