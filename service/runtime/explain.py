"""What the model looked at, for targets that are known already.

The graphs that do the work carry no attention outputs. A Transformer has a teacher-forced `explain` graph; a recurrent
decoder an `explain_step`, driven over the known tokens. Their sessions open when first asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from contract.rows import axis_sizes
from contract.signature import GenerateSignature
from service.runtime.bundle import Bundle
from service.runtime.errors import NoAttentionError
from service.runtime.requests import Array
from service.runtime.session import InferenceSession
from service.runtime.storage import dimensions


class Explainer:
    """Attention maps of one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        signature = bundle.signature
        assert isinstance(signature, GenerateSignature)
        self._signature = signature

    @cached_property
    def _session(self) -> InferenceSession:
        assert self._signature.explain is not None
        return self._bundle.session(self._signature.explain, prepack=False)

    @cached_property
    def _encode(self) -> InferenceSession:
        return self._bundle.session("encode", prepack=False)

    def explain(self, inputs: Mapping[str, Array], token_ids: list[list[int]]) -> NDArray[np.float32]:
        """Attention `[len(token_ids), longest target + 1, …]` of each target, its EOS included, over one source.

        The last axis is the source's tokens, or the regions of a picture.

        Args:
            inputs: encode inputs of one row, without the rows axis.
            token_ids: the targets, without BOS and EOS.

        Raises:
            NoAttentionError: the architecture has no attention.
        """
        if self._signature.explain is None:
            raise NoAttentionError(self._bundle.manifest.name)
        rows = len(token_ids)
        alone = {name: np.asarray(value)[None] for name, value in inputs.items()}
        special = self._bundle.manifest.special_ids
        longest = max(len(ids) for ids in token_ids) + 1
        target = np.full((rows, longest), special.pad, dtype=np.int64)
        target[:, 0] = special.bos
        for row, ids in zip(target, token_ids, strict=True):
            row[1 : len(ids) + 1] = ids
        if self._signature.explain == "explain":
            batch = {name: np.repeat(array, rows, axis=0) for name, array in alone.items()}
            return np.asarray(self._session.run(["attention"], {**batch, "target_ids": target})[0])
        sizes = {**axis_sizes(self._signature.inputs, inputs), "target": longest}
        return self._drive(alone, target, sizes)

    def _drive(self, row: dict[str, Array], target: NDArray[np.int64], sizes: dict[str, int]) -> NDArray[np.float32]:
        """Encode a row once, then run the step variant over each target's known tokens, keeping every attention."""
        produced = [tensor.name for tensor in self._signature.graph("encode")[1]]
        encoded = {**row, **dict(zip(produced, self._encode.run(produced, row), strict=True))}
        values = {name: np.repeat(array, len(target), axis=0) for name, array in encoded.items()}
        feeds: dict[str, Array] = {tensor.name: values[tensor.name] for tensor in self._signature.statics}
        for state in self._signature.states:
            if state.initial is not None:
                feeds[state.name] = values[state.initial]
            else:
                shape = len(target), *dimensions(state, sizes)
                feeds[state.name] = np.zeros(shape, dtype=np.dtype(state.dtype))
        successors = [state.successor for state in self._signature.states]
        maps = []
        for position in range(target.shape[1]):
            feeds["token_ids"] = target[:, position]
            feeds["position"] = np.full(len(target), position, dtype=np.int64)
            feeds["k"] = np.asarray(1, dtype=np.int64)
            attention, *states = self._session.run(["attention", *successors], feeds)
            feeds |= {state.name: value for state, value in zip(self._signature.states, states, strict=True)}
            maps.append(attention)
        return np.stack(maps, axis=1)
