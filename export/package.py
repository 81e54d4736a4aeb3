"""A bundle's folder: staged beside its place, described by its manifest, put in place by one rename."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from contract.manifest import (
    BundleError,
    File,
    Graph,
    Manifest,
    Precision,
    Score,
    Variant,
    hash_file,
    load_manifest,
    save_manifest,
)
from contract.signature import Signature
from contract.versions import latest_version
from export.card import CARD, write_card
from export.errors import ExportError
from export.material import Material
from export.precisions import PLANS, stored
from models.layers.exportable import ONNX_OPSET

_DESCRIPTION = "description"
"""Key of the card's first line among the training facts, so that the card can be written again."""


@contextmanager
def staging(target: Path) -> Iterator[Path]:
    """A folder on the target's file system to build a bundle in; whatever is left of it at the end is removed.

    It lies in the nearest folder above the target that exists, so that a failed export leaves nothing behind.
    """
    parent = next(folder for folder in target.absolute().parents if folder.is_dir())
    outer = Path(tempfile.mkdtemp(prefix=".staging-", dir=parent))
    try:
        folder = outer / target.name
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(outer, ignore_errors=True)


def next_version(bundle: Path) -> str:
    """The version after the newest in `NAME/`; "1" where there is none."""
    try:
        newest = latest_version(bundle).name
    except BundleError:
        return "1"
    if not newest.isdigit():
        raise ExportError(f"the newest version in {bundle} is {newest!r}: say which comes next with --version")
    return str(int(newest) + 1)


def describe_variant(
    signature: Signature,
    precision: Precision,
    *,
    verified: bool,
    max_error: float | None = None,
) -> Variant:
    """The manifest's entry of a precision whose graphs lie in the folder of its name."""
    graphs = [(kind, signature.graph(kind)) for kind in signature.graph_kinds()]
    return Variant(
        precision=precision,
        provider=PLANS[precision].provider,
        status="verified" if verified else "unproven",
        graphs=tuple(
            Graph(
                kind=kind,
                file=f"{precision}/{kind}.onnx",
                inputs=tuple(stored(tensor, precision) for tensor in inputs),
                outputs=tuple(stored(tensor, precision) for tensor in outputs),
            )
            for kind, (inputs, outputs) in graphs
        ),
        golden=golden_name(precision),
        tolerance=PLANS[precision].tolerance,
        max_error=max_error,
    )


def golden_name(precision: Precision) -> str:
    """File of a precision's golden numbers."""
    return f"golden.{precision}.npz"


def write_manifest(
    folder: Path, material: Material, target: Path, variants: Sequence[Variant], scores: Sequence[Score] = ()
) -> Manifest:
    """Describe a staged bundle that is to lie at `target` (`NAME/VERSION`): model card, manifest, hashes.

    Precisions that `variants` leaves out are removed from the folder.
    """
    kept = {variant.precision for variant in variants}
    for precision in PLANS:
        if precision not in kept:
            shutil.rmtree(folder / precision, ignore_errors=True)
            (folder / golden_name(precision)).unlink(missing_ok=True)
    preprocessing = material.preprocessing(folder)
    about = material.about
    manifest = Manifest(
        schema_version=1,
        name=target.parent.name,
        version=target.name,
        task=material.task,
        architecture=about.architecture,
        parameters=sum(parameter.numel() for parameter in material.model.parameters()),
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        opset=ONNX_OPSET,
        signature=material.model.signature,
        variants=tuple(variants),
        vocabulary_size=material.vocabulary_size,
        decoding=material.decoding,
        special=material.special,
        limits=material.limits,
        preprocessing=preprocessing,
        scores=(*about.scores, *scores),
        training={**about.training, _DESCRIPTION: about.description},
        licence=about.licence,
        files=_files(folder),
    )
    return _finish(folder, manifest)


def record_scores(bundle: Path, scores: Sequence[Score]) -> Manifest:
    """Add scores to a bundle in place (`NAME/VERSION/`, or `NAME/` for the newest): new manifest and model card.

    A score of the same metric, data, split and precision is replaced.

    Raises:
        BundleError: the folder is not a sound bundle.
    """
    folder = latest_version(bundle)
    manifest = load_manifest(folder)
    new = {_score_key(score) for score in scores}
    kept = tuple(score for score in manifest.scores if _score_key(score) not in new)
    with staging(folder) as staged:
        shutil.copytree(folder, staged, dirs_exist_ok=True)
        recorded = _finish(staged, manifest.model_copy(update={"scores": (*kept, *scores)}))
        load_manifest(staged)
        folder.rename(staged.with_name("replaced"))
        staged.rename(folder)
    return recorded


def read_scores(path: Path) -> list[Score]:
    """Scores from a JSON list of objects with the manifest's fields.

    Raises:
        pydantic.ValidationError: the file holds something else.
    """
    return TypeAdapter(list[Score]).validate_json(path.read_bytes())


def _finish(folder: Path, manifest: Manifest) -> Manifest:
    """Write card and manifest over what is there."""
    description = str(manifest.training.get(_DESCRIPTION, manifest.name))
    (folder / CARD).write_text(write_card(manifest, description), "utf-8")
    finished = manifest.model_copy(update={"files": {**manifest.files, CARD: hash_file(folder / CARD)}})
    save_manifest(finished, folder)
    return finished


def _files(folder: Path) -> dict[str, File]:
    described = {CARD, "manifest.json", "manifest.sha256"}
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: hash_file(path) for name, path in names.items() if name not in described}


def _score_key(score: Score) -> tuple[str, ...]:
    return (score.metric, score.data, score.split, score.precision, score.note)
