"""The modules that are traced: an architecture seen as the graphs of the contract.

Each takes and returns plain tensors in the signature's order, so that names, axes and order have one source.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from torch import Tensor, nn

from contract.signature import GenerateSignature, GraphKind
from models.architecture import Architecture, Generator, Predictor
from models.layers.exportable import top_k

M = TypeVar("M", bound=Architecture)


class GraphModule(nn.Module, Generic[M]):
    """One graph of a model: `forward(*inputs)` in the signature's order → outputs in the signature's order."""

    kind: GraphKind

    def __init__(self, model: M, kind: GraphKind) -> None:
        super().__init__()
        self.model = model
        self.kind = kind
        inputs, outputs = model.signature.graph(kind)
        self.input_names = tuple(tensor.name for tensor in inputs)
        self.output_names = tuple(tensor.name for tensor in outputs)
        self.eval()

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        outputs = self.compute(dict(zip(self.input_names, inputs, strict=True)))
        if missing := [name for name in self.output_names if name not in outputs]:
            raise ValueError(f"{type(self.model).__name__}.{self.kind} does not return {', '.join(missing)}")
        return tuple(outputs[name] for name in self.output_names)

    def compute(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Outputs by name."""
        raise NotImplementedError


class PredictGraph(GraphModule[Predictor]):
    """`predict`: all that a one-shot model computes."""

    def compute(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        outputs: dict[str, Tensor] = self.model(inputs)
        return outputs


class MapsGraph(GraphModule[Predictor]):
    """`explain` of a one-shot model: its attention maps."""

    def compute(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        return self.model.explain(inputs)


class EncodeGraph(GraphModule[Generator]):
    """`encode`: statics that are not inputs, and initial states."""

    def compute(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        return self.model.encode(inputs)


class StepGraph(GraphModule[Generator]):
    """`step` and `explain_step`: the model's step, then the `k` best tokens and their log-probabilities."""

    def compute(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        signature: GenerateSignature = self.model.signature
        statics = {tensor.name: inputs[tensor.name] for tensor in signature.statics}
        states = {state.name: inputs[state.name] for state in signature.states}
        logits, following, attention = self.model.step(inputs["token_ids"], inputs["position"], statics, states)
        candidates, scores = best_tokens(logits, inputs["k"])
        outputs = {"candidates": candidates, "scores": scores}
        outputs |= {state.successor: following[state.name] for state in signature.states}
        return outputs if attention is None else outputs | {"attention": attention}


class ExplainGraph(GraphModule[Generator]):
    """`explain` of a generator: attention over the source for every position of a known target."""

    def compute(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        target_ids = inputs.pop("target_ids")
        return {"attention": self.model.explain(inputs, target_ids)}


def graph_module(model: Architecture, kind: GraphKind) -> GraphModule[Predictor] | GraphModule[Generator]:
    """The module that computes one graph of a model.

    Raises:
        ValueError: the model has no such graph.
    """
    if isinstance(model, Predictor):
        return PredictGraph(model, kind) if kind == "predict" else MapsGraph(model, kind)
    assert isinstance(model, Generator)
    if kind == "encode":
        return EncodeGraph(model, kind)
    return ExplainGraph(model, kind) if kind == "explain" else StepGraph(model, kind)


def best_tokens(logits: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """The `k` (scalar) best of `logits [rows, vocabulary]` → ids and log-probabilities, each `[rows, k]`, best first.

    Normalising the whole vocabulary first costs less than normalising the k best with separate sums, and gives a row
    the same bits whatever rows are beside it.
    """
    best, candidates = top_k(logits.log_softmax(dim=-1), k)
    return candidates, best
