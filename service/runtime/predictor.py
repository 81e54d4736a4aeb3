"""Runs the predict graph on a batch of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contract.manifest import Limits
from contract.rows import Row, pad_rows, split_rows
from contract.signature import PredictSignature
from service.runtime.requests import Array
from service.runtime.session import InferenceSession, Provider


class Predictor:
    """A predict session.

    On CUDA batches are padded to powers of two along every axis, so that shapes repeat and the arena does not grow with
    each new one; what is beyond the rows repeats the last of them, since nothing is known of a row of zeros.
    """

    def __init__(
        self, session: InferenceSession, signature: PredictSignature, limits: Limits, provider: Provider
    ) -> None:
        self._session = session
        self._signature = signature
        self._limits = limits
        self._provider = provider
        self._outputs = [tensor.name for tensor in signature.outputs]
        # No graph is asked to run over nothing: a row without a filter has one of zeros.
        self._least = {str(axis): 1 for tensor in signature.inputs for axis in tensor.axes[1:]}

    def run(self, rows: Sequence[Row], sizes: Sequence[Mapping[str, int]]) -> list[dict[str, Array]]:
        """Outputs of each row, cut to its own sizes."""
        values = self._run_on_cpu(rows) if self._provider == "cpu" else self._run_on_device(rows, sizes)
        outputs = dict(zip(self._outputs, values, strict=True))
        return split_rows(self._signature.outputs, outputs, sizes)

    def _run_on_cpu(self, rows: Sequence[Row]) -> list[Array]:
        values: list[Array] = self._session.run(self._outputs, pad_rows(self._signature.inputs, rows, self._least))
        return values

    def _run_on_device(self, rows: Sequence[Row], sizes: Sequence[Mapping[str, int]]) -> list[Array]:
        least = {axis: self._bucket(axis, max(own[axis] for own in sizes)) for axis in sizes[0]}
        spare = _power_of_two(len(rows)) - len(rows)
        batch = pad_rows(self._signature.inputs, [*rows, *[rows[-1]] * spare], least)
        binding = self._session.io_binding()
        for name, array in batch.items():
            binding.bind_cpu_input(name, array)
        for name in self._outputs:
            binding.bind_output(name, self._provider)
        self._session.run_with_iobinding(binding)
        values: list[Array] = binding.copy_outputs_to_cpu()
        return values

    def _bucket(self, axis: str, size: int) -> int:
        limit = getattr(self._limits, axis, None)
        return _power_of_two(size) if limit is None else min(_power_of_two(size), limit)


def _power_of_two(size: int) -> int:
    """The next power of two, at least 1."""
    return 1 << max(size - 1, 0).bit_length()
