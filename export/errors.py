"""What can go wrong between a run and its bundle, one class per kind of failure.

Every message names what failed (graph, tensor, shape, error) and what was allowed. Nothing is installed after one.
"""

from __future__ import annotations


class ExportError(Exception):
    """No bundle was written; the message says why."""


class TraceError(ExportError):
    """The exporter froze or mistranslated something that PyTorch does."""


class OptimiseError(ExportError):
    """A pass met a graph that it cannot turn into the asked precision."""


class VerificationError(ExportError):
    """A graph is not the model it was made from."""


class NamesError(VerificationError):
    """The graph's tensors are not those that the signature declares, in its order."""


class AxesError(VerificationError):
    """A tensor's type or axes differ from the signature."""


class GraphFailedError(VerificationError):
    """The runtime refuses a graph, or cannot run it at sizes that the signature allows."""


class ToleranceError(VerificationError):
    """A graph's numbers are further from PyTorch's than the tolerance."""


class StepMismatchError(VerificationError):
    """Decoding step by step differs from reading the whole target at once."""


class RowDependenceError(VerificationError):
    """A row's numbers depend on the rows or the padding beside it."""


class RuntimeMismatchError(VerificationError):
    """The decoding engine's text is not the one that the model itself prefers."""


class MetricError(VerificationError):
    """A reduced precision costs more of the task's metric than is allowed."""
