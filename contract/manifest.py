"""The bundle's description: frozen, versioned, hashed.

A bundle is a folder `NAME/VERSION/` with `manifest.json`, `manifest.sha256` (the hash of the manifest itself) and the
files that the manifest lists with their hashes. Nothing in it is executable code. Loading verifies everything and
refuses what it does not know, with one error that lists every fault.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from contract.checks import check_preprocessing
from contract.preprocessing import ImagePreprocessing, PixelPreprocessing, Preprocessing, TextPreprocessing
from contract.signature import Frozen, GenerateSignature, GraphKind, PredictSignature, Tensor
from contract.tasks import TaskName, check_task

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
MANIFEST_HASH = "manifest.sha256"

Precision = Literal["fp32", "int8", "fp16"]


class BundleError(ValueError):
    """A folder that is not a sound bundle; the message names the folder and lists every fault."""

    def __init__(self, folder: Path, faults: list[str]) -> None:
        self.folder = folder
        self.faults = faults
        lines = "".join(f"\n  - {fault}" for fault in faults)
        super().__init__(f"{folder} is not a sound bundle:{lines}")


class File(Frozen):
    """Size and hash of one file of the bundle."""

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Graph(Frozen):
    """One ONNX graph: its file and its tensors in order."""

    kind: GraphKind
    file: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class Speed(Frozen):
    """How fast one thread answered validation examples through the engine, in processor time.

    `latency_seconds` is the median of one example at a time, `rows_per_second` the rate with `waiting` at once.
    """

    latency_seconds: float = Field(gt=0)
    rows_per_second: float = Field(gt=0)
    waiting: int = Field(gt=0)
    processor: str


class Variant(Frozen):
    """The graphs of one precision.

    `status` is *verified* when the graphs were run and compared where they are meant to run, else *unproven*.
    `tolerance` bounds the absolute difference of any machine's log-probabilities and other outputs (in proportion where
    they are large) from the golden ones: PyTorch's own, or for int8 those that the exported graphs gave. `max_error`
    records the largest difference from PyTorch over the golden inputs. `metrics` are task scores of this precision,
    `speed` what it took at export.
    """

    precision: Precision
    provider: Literal["cpu", "cuda", "any"]
    status: Literal["verified", "unproven"]
    graphs: tuple[Graph, ...]
    golden: str
    tolerance: float = Field(gt=0)
    max_error: float | None = Field(default=None, ge=0)
    metrics: dict[str, float] = Field(default_factory=dict)
    speed: Speed | None = None

    def graph(self, kind: GraphKind) -> Graph:
        """The graph of a kind."""
        for graph in self.graphs:
            if graph.kind == kind:
                return graph
        raise KeyError(f"no graph {kind!r} in precision {self.precision}")


class SpecialIds(Frozen):
    """Ids of the target vocabulary that steer decoding. Without `eos`, generation stops at the asked length.

    `unk` is what stands for a text that the vocabulary lacks; intensities lack none.
    """

    pad: int = Field(ge=0)
    unk: int | None = Field(default=None, ge=0)
    bos: int = Field(ge=0)
    eos: int | None = Field(default=None, ge=0)


class Limits(Frozen):
    """The largest size of each axis that the bundle accepts; None where the model does not have the axis.

    `source` and `target` count tokens, `words` those of a sentence, `characters` those of a word.
    """

    source: int | None = Field(default=None, gt=0)
    target: int | None = Field(default=None, gt=0)
    sentences: int | None = Field(default=None, gt=0)
    words: int | None = Field(default=None, gt=0)
    characters: int | None = Field(default=None, gt=0)
    items: int | None = Field(default=None, gt=0)
    filters: int | None = Field(default=None, gt=0)
    k: int | None = Field(default=None, gt=0)

    def of(self, axis: str) -> int:
        """Largest size of an axis.

        Raises:
            KeyError: the bundle does not limit it.
        """
        limit = getattr(self, axis, None)
        if limit is None:
            raise KeyError(f"no limit for the axis {axis!r}")
        return int(limit)


class Sampling(Frozen):
    """How tokens are drawn.

    Log-probabilities are divided by `temperature` within the `top_k` most likely tokens, of which the fewest are kept
    whose share is `top_p`.
    """

    temperature: float = Field(default=1.0, gt=0)
    top_k: int = Field(default=256, ge=1)
    top_p: float = Field(default=1.0, gt=0, le=1)


class DecodingDefaults(Frozen):
    """How a request is decoded that does not say otherwise: by a beam, or drawn where there is `sampling`."""

    beam_size: int = Field(default=4, ge=1)
    length_penalty: float = Field(default=1.0, ge=0)
    max_length_ratio: float = Field(default=3.0, gt=0)
    max_length_offset: int = Field(default=10, ge=0)
    sampling: Sampling | None = None

    def max_length(self, source_length: int, limits: Limits) -> int:
        """Longest output, in tokens, of a request that does not say how long it may be."""
        return min(int(self.max_length_ratio * source_length) + self.max_length_offset, limits.of("target"))


class Score(Frozen):
    """A quality figure: which metric, on which split of which data, measured how."""

    metric: str
    value: float
    data: str
    split: str
    precision: Precision
    note: str = ""


class Licence(Frozen):
    """Where the training data came from and under which terms."""

    data: str
    source: str
    terms: str


class Manifest(Frozen):
    """Everything a service needs to know about a model.

    `vocabulary_size` counts what a generate model chooses from, or what a one-shot model reads: tokens or items.
    `special` and `decoding` are those of a generate model.
    """

    schema_version: Literal[1]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")
    version: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,62}$")
    task: TaskName
    architecture: str
    parameters: int = Field(gt=0)
    created: str
    opset: int = Field(gt=0)
    signature: GenerateSignature | PredictSignature = Field(discriminator="shape")
    variants: tuple[Variant, ...] = Field(min_length=1)
    vocabulary_size: int = Field(gt=0)
    special: SpecialIds | None = None
    limits: Limits
    decoding: DecodingDefaults | None = None
    preprocessing: Preprocessing = Field(discriminator="kind")
    scores: tuple[Score, ...] = ()
    training: dict[str, object] = Field(default_factory=dict)
    licence: Licence
    files: dict[str, File]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = [*check_task(self.task, self.signature), *self._shape_faults(), *self._limit_faults()]
        precisions = [variant.precision for variant in self.variants]
        if len(set(precisions)) != len(precisions):
            faults.append(f"a precision is listed twice: {precisions}")
        faults += [fault for variant in self.variants for fault in self._graph_faults(variant)]
        faults += [f"{name!r} is used but not listed in files" for name in self._used_files() if name not in self.files]
        faults += [f"file name {name!r} leaves the bundle" for name in self.files if not _inside(name)]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def text(self) -> TextPreprocessing:
        """Preprocessing of a text-to-text model; only for one."""
        assert isinstance(self.preprocessing, TextPreprocessing), f"{self.name} is a model for {self.task!r}"
        return self.preprocessing

    @property
    def image(self) -> ImagePreprocessing:
        """Preprocessing of an image-to-text model; only for one."""
        assert isinstance(self.preprocessing, ImagePreprocessing), f"{self.name} is a model for {self.task!r}"
        return self.preprocessing

    @property
    def pixels(self) -> PixelPreprocessing:
        """Preprocessing of an image-to-image model; only for one."""
        assert isinstance(self.preprocessing, PixelPreprocessing), f"{self.name} is a model for {self.task!r}"
        return self.preprocessing

    @property
    def special_ids(self) -> SpecialIds:
        """Special ids of a generate model; only for one."""
        assert self.special is not None, f"{self.name} is a {self.signature.shape} model"
        return self.special

    @property
    def decoding_defaults(self) -> DecodingDefaults:
        """Decoding defaults of a generate model; only for one."""
        assert self.decoding is not None, f"{self.name} is a {self.signature.shape} model"
        return self.decoding

    def variant(self, precision: Precision) -> Variant:
        """The graphs of a precision.

        Raises:
            KeyError: the bundle does not hold it; the message says what it holds.
        """
        for variant in self.variants:
            if variant.precision == precision:
                return variant
        held = ", ".join(v.precision for v in self.variants)
        raise KeyError(f"bundle {self.name} {self.version} holds {held}, not {precision}")

    def _shape_faults(self) -> list[str]:
        faults = check_preprocessing(self.task, self.preprocessing, self.signature, self.limits.target)
        given = {"special": self.special, "decoding": self.decoding}
        if self.signature.shape == "generate":
            faults += [f"a generate model needs {name}" for name, value in given.items() if value is None]
        else:
            faults += [f"a one-shot model has no {name}" for name, value in given.items() if value is not None]
        return faults

    def _limit_faults(self) -> list[str]:
        axes = {axis for tensor in self.signature.inputs for axis in tensor.axes if isinstance(axis, str)} - {"rows"}
        if self.signature.shape == "generate":
            axes.add("target")
        missing = [axis for axis in sorted(axes) if getattr(self.limits, axis, None) is None]
        return [f"limits: there is none for the axis {axis!r}" for axis in missing]

    def _graph_faults(self, variant: Variant) -> list[str]:
        where = f"precision {variant.precision}"
        kinds = tuple(graph.kind for graph in variant.graphs)
        if set(kinds) != set(self.signature.graph_kinds()) or len(set(kinds)) != len(kinds):
            return [f"{where}: holds the graphs {kinds}, the signature needs {self.signature.graph_kinds()}"]
        faults = []
        for graph in variant.graphs:
            for side, declared, held in zip(
                ("inputs", "outputs"), self.signature.graph(graph.kind), (graph.inputs, graph.outputs), strict=True
            ):
                if [(t.name, t.axes) for t in declared] != [(t.name, t.axes) for t in held]:
                    faults.append(f"{where}, graph {graph.kind}: {side} differ from the signature")
        return faults

    def _used_files(self) -> list[str]:
        used = list(self.preprocessing.files)
        for variant in self.variants:
            used += [variant.golden, *(graph.file for graph in variant.graphs)]
        return sorted(set(used))


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name


def hash_file(path: Path) -> File:
    """Size and SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return File(bytes=path.stat().st_size, sha256=digest.hexdigest())


def save_manifest(manifest: Manifest, folder: Path) -> None:
    """Write `manifest.json` and its hash into a bundle folder whose other files are in place."""
    content = manifest.model_dump_json(indent=1, exclude_defaults=False).encode() + b"\n"
    (folder / MANIFEST).write_bytes(content)
    (folder / MANIFEST_HASH).write_text(hashlib.sha256(content).hexdigest() + "\n", encoding="ascii")


def load_manifest(folder: Path) -> Manifest:
    """Read a bundle's manifest and check every file of the bundle against it.

    Raises:
        BundleError: missing, altered or unlisted files, unknown or missing fields, a newer schema version, or tensors
            that do not fit the task; all faults that can be told are listed in one message.
    """
    if not folder.is_dir():
        raise BundleError(folder, ["no such folder"])
    faults = _manifest_hash_faults(folder)
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise BundleError(folder, faults) from None
    except ValueError as error:
        raise BundleError(folder, [*faults, f"{MANIFEST} is not JSON: {error}"]) from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        newer = f"schema version {version} is newer than {SCHEMA_VERSION}, which this release reads: update seqserve"
        raise BundleError(folder, [*faults, newer])
    try:
        manifest = Manifest.model_validate_json(json.dumps(content))
    except ValidationError as error:
        raise BundleError(folder, [*faults, *map(_describe, error.errors())]) from error
    if faults := [*faults, *_file_faults(folder, manifest)]:
        raise BundleError(folder, faults)
    return manifest


def _describe(error: object) -> str:
    assert isinstance(error, dict)
    where = ".".join(str(part) for part in error["loc"]) or "manifest"
    return f"{where}: {error['msg']}"


def _manifest_hash_faults(folder: Path) -> list[str]:
    missing = [f"{name} is missing" for name in (MANIFEST, MANIFEST_HASH) if not (folder / name).is_file()]
    if missing:
        return missing
    stated = (folder / MANIFEST_HASH).read_bytes()
    actual = hash_file(folder / MANIFEST).sha256.encode() + b"\n"
    return [] if stated == actual else [f"{MANIFEST} does not match {MANIFEST_HASH}: one of them was altered"]


def _file_faults(folder: Path, manifest: Manifest) -> list[str]:
    faults = []
    for name, listed in manifest.files.items():
        path = folder / name
        if not path.is_file():
            faults.append(f"{name} is missing")
        elif (found := hash_file(path)) != listed:
            faults.append(f"{name} was altered: {found.bytes} bytes, sha256 {found.sha256}, listed {listed.sha256}")
    known = {*manifest.files, MANIFEST, MANIFEST_HASH}
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return faults + [f"{name} is not listed in the manifest" for name in sorted(present - known)]
