"""A bundle's model in PyTorch again: its architecture built anew, and its weights read back from the graphs.

Nothing but the bundle is needed, and nothing is taken on trust: the golden numbers that travel with the bundle tell
whether every weight came to its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from contract.items import Catalogue
from contract.manifest import Manifest, Precision, Variant
from contract.preprocessing import ItemPreprocessing, LabelPreprocessing
from contract.rows import Array
from contract.text import InputCodec
from loadtest.bench.constants import Constants
from models.architecture import Architecture, Generator
from models.registry import build, parse
from service.runtime.bundle import Bundle

_WIDEST_FIRST: tuple[Precision, ...] = ("fp32", "fp16", "int8")
_MOST_ERROR = 0.15
"""Of an output, root mean square relative to its own. Weights rounded to int8 cost a few percent; a wrong one, all."""


class RecoverError(ValueError):
    """A bundle whose model cannot be had back; the message says what is missing or differs."""


def recover_model(folder: Path, manifest: Manifest) -> Architecture:
    """The model of a bundle `NAME/VERSION/`, in float32, from the widest precision that the bundle holds.

    Raises:
        RecoverError: a weight is not to be found in the graphs, or the architecture is no longer what it was.
    """
    trained: Any = manifest.training["architecture"]
    name, fields = trained["name"], {key: value for key, value in trained.items() if key != "name"}
    model = build(name, parse(name, fields | _sizes(folder, manifest)))
    if model.signature != manifest.signature:
        raise RecoverError(f"{folder}: it was exported from an earlier {name}, which had other tensors")
    variant = widest(manifest)
    constants = Constants([folder / graph.file for graph in variant.graphs if not graph.kind.startswith("explain")])
    found, missing = constants.fill(model)
    if missing:
        raise RecoverError(f"{folder}: no weights for {', '.join(missing)} in its {variant.precision} graphs")
    model.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in found.items()})
    return model.eval()


def check_golden(model: Architecture, folder: Path, manifest: Manifest) -> None:
    """Hold a model against the outputs that the bundle must give.

    Raises:
        RecoverError: they differ by more than rounding explains.
    """
    variant = widest(manifest)
    with np.load(folder / variant.golden) as file:
        golden = {name: file[name] for name in file.files}
    for kind in ("encode", "step") if isinstance(model, Generator) else ("predict",):
        inputs = {name: _tensor(value) for name, value in _part(golden, f"{kind}.in.").items()}
        with torch.inference_mode():
            outputs = _outputs(model, kind, inputs)
        for name, expected in _part(golden, f"{kind}.out.").items():
            if name in outputs and np.issubdtype(expected.dtype, np.floating):
                error = _error(outputs[name].numpy(), expected.astype(np.float32))
                if not error <= _MOST_ERROR:
                    raise RecoverError(f"{folder}: {kind} gives {name} wrong by {error:.0%} of its size")


def widest(manifest: Manifest) -> Variant:
    """The variant whose weights are the least rounded."""
    return min(manifest.variants, key=lambda variant: _WIDEST_FIRST.index(variant.precision))


def _sizes(folder: Path, manifest: Manifest) -> dict[str, int]:
    """What training took from the data."""
    preprocessing, bundle = manifest.preprocessing, Bundle(folder, manifest, manifest.variants[0], "cpu")
    if isinstance(preprocessing, LabelPreprocessing):
        codec = InputCodec.load(folder / preprocessing.tokenizer)
        return {"vocabulary_size": codec.vocabulary_size, "label_count": len(preprocessing.labels)}
    if isinstance(preprocessing, ItemPreprocessing):
        return {"item_count": len(Catalogue.load(folder / preprocessing.catalogue).ids) + 1}
    sizes = {"target_vocabulary_size": bundle.target.vocabulary_size}
    if manifest.task == "translate":
        sizes["source_vocabulary_size"] = bundle.source.vocabulary_size
    return sizes


def _outputs(model: Architecture, kind: str, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    if not isinstance(model, Generator):
        found: dict[str, torch.Tensor] = model(inputs)
        return found
    if kind == "encode":
        return model.encode(inputs)
    signature = model.signature
    statics = {static.name: inputs[static.name] for static in signature.statics}
    states = {state.name: inputs[state.name] for state in signature.states}
    logits, following, _ = model.step(inputs["token_ids"], inputs["position"], statics, states)
    best = logits.log_softmax(dim=-1).topk(int(inputs["k"])).values
    return {"scores": best} | {state.successor: following[state.name] for state in signature.states}


def _part(golden: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): value for name, value in golden.items() if name.startswith(prefix)}


def _tensor(value: Array) -> torch.Tensor:
    wide: Any = value.astype(np.float32) if value.dtype == np.float16 else value
    return torch.from_numpy(np.asarray(wide))


def _error(found: Array, expected: Array) -> float:
    finite = np.isfinite(expected)
    if not np.array_equal(finite, np.isfinite(found)):
        return float("inf")
    size = float(np.sqrt(np.mean(np.square(expected[finite])))) or 1.0
    return float(np.sqrt(np.mean(np.square(found[finite] - expected[finite])))) / size
