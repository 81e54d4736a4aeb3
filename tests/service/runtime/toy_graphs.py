"""Two one-shot models that can be computed by hand, as bundles: a tagger with attention, and a recommender.

Their graphs stand in tests/data/graphs, made by the script beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from contract.manifest import File, Graph, Licence, Limits, Manifest, Variant
from contract.preprocessing import ItemPreprocessing, TagPreprocessing
from contract.signature import Attention, PredictSignature, Tensor
from contract.tasks import TASKS, TaskName
from service.runtime.bundle import Bundle

FOLDER = Path(__file__).parents[2] / "data" / "graphs"
VOCABULARY = 50
CATALOGUE = 40
CHARACTER = 0.25
Row = Mapping[str, np.ndarray[Any, Any]]

_AXES = {
    "source_ids": ("rows", "source"),
    "character_ids": ("rows", "source", "characters"),
    "character_counts": ("rows", "source"),
    "item_ids": ("rows", "items"),
    "filter_ids": ("rows", "filters"),
    "k": (),
}
TAGGER = PredictSignature(
    inputs=tuple(Tensor(name=n, dtype="int64", axes=_AXES.get(n, ("rows",))) for n in TASKS["tag"].inputs[1]),
    outputs=(Tensor(name="emissions", dtype="float32", axes=("rows", "source", 3)),),
    attention=(Attention(axes=("source",)),),
    explained=("source_ids", "source_lengths"),
)
RECOMMENDER = PredictSignature(
    inputs=tuple(Tensor(name=n, dtype="int64", axes=_AXES.get(n, ("rows",))) for n in TASKS["recommend"].inputs[0]),
    outputs=(
        Tensor(name="candidates", dtype="int64", axes=("rows", "k")),
        Tensor(name="scores", dtype="float32", axes=("rows", "k")),
    ),
)


def tag_table() -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).integers(-50, 50, (VOCABULARY, 3)).astype(np.float32)


def interest_table() -> np.ndarray[Any, Any]:
    table = np.random.default_rng(2).permutation(CATALOGUE * CATALOGUE).reshape(CATALOGUE, CATALOGUE)
    table[0] = 0
    return (table / 16).astype(np.float32)


def make_tagger() -> Bundle:
    files = {"predict": "tag.onnx", "explain": "attention.onnx"}
    limits = Limits(source=24, characters=6)
    return _bundle("tag", TAGGER, files, limits, TagPreprocessing(tokenizer="none.json", tags="none.json"))


def make_recommender() -> Bundle:
    limits = Limits(items=12, filters=20, k=15)
    preprocessing = ItemPreprocessing(catalogue="none.json")
    return _bundle("recommend", RECOMMENDER, {"predict": "recommend.onnx"}, limits, preprocessing)


def tag_row(seed: int, words: int | None = None) -> dict[str, np.ndarray[Any, Any]]:
    """Inputs of a random sentence."""
    rng = np.random.default_rng(seed)
    count, longest = words or int(rng.integers(1, 25)), int(rng.integers(1, 7))
    return {
        "source_ids": rng.integers(1, VOCABULARY, count),
        "source_lengths": np.array(count),
        "character_ids": rng.integers(0, 99, (count, longest)),
        "character_counts": rng.integers(0, longest + 1, count),
    }


def session_row(seed: int) -> dict[str, np.ndarray[Any, Any]]:
    """Inputs of a random session, whose filter may be empty."""
    rng = np.random.default_rng(seed)
    items = rng.integers(1, CATALOGUE, rng.integers(1, 13))
    return {
        "item_ids": items,
        "item_counts": np.array(len(items)),
        "filter_ids": rng.integers(0, CATALOGUE, rng.integers(0, 21)),
        "filter_mode": np.array(rng.integers(0, 2)),
        "k": np.array(rng.integers(1, 16)),
    }


def tag_outputs(row: Row) -> dict[str, np.ndarray[Any, Any]]:
    """What the tagger's graph gives for one row."""
    by_word = tag_table()[row["source_ids"]]
    by_character = CHARACTER * row["character_ids"].sum(axis=1, keepdims=True)
    return {"emissions": by_word + by_character + row["source_ids"].sum() + row["source_lengths"]}


def recommend_outputs(row: Row) -> dict[str, np.ndarray[Any, Any]]:
    """What the recommender's graph gives for one row."""
    scores = interest_table()[row["item_ids"]].sum(axis=0) + row["item_counts"]
    filtered = np.bincount(row["filter_ids"][row["filter_ids"] > 0], minlength=CATALOGUE)
    scores = scores - 1000 * filtered * (1 - row["filter_mode"])
    best = np.argsort(-scores, kind="stable")[: int(row["k"])]
    return {"candidates": best, "scores": scores[best]}


def _bundle(task: TaskName, signature: PredictSignature, files: dict[Any, str], limits: Limits, reads: Any) -> Bundle:
    graphs = tuple(
        Graph(kind=kind, file=file, inputs=signature.graph(kind)[0], outputs=signature.graph(kind)[1])
        for kind, file in files.items()
    )
    variant = Variant(
        precision="fp32", provider="any", status="verified", graphs=graphs, golden="golden.npz", tolerance=1e-5
    )
    manifest = Manifest(
        schema_version=1,
        name=f"toy-{task}",
        version="1",
        task=task,
        architecture="none",
        parameters=1,
        created="2026-01-01T00:00:00Z",
        opset=18,
        signature=signature,
        variants=(variant,),
        vocabulary_size=VOCABULARY,
        limits=limits,
        preprocessing=reads,
        licence=Licence(data="none", source="made up", terms="none"),
        files={name: File(bytes=0, sha256="0" * 64) for name in (*files.values(), *reads.files, "golden.npz")},
    )
    return Bundle(FOLDER, manifest, variant, "cpu")
