from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.onnx import is_in_onnx_export, ops

from contract.signature import GenerateSignature, State
from contract.signature import Tensor as TensorSpec
from export.errors import TraceError
from export.graphs import best_tokens
from export.trace import trace
from models.architecture import Generator
from models.registry import ArchitectureConfig

SOURCE = TensorSpec(name="source_ids", dtype="int64", axes=("rows", "source"))
LENGTHS = TensorSpec(name="source_lengths", dtype="int64", axes=("rows",))


class Sketch(Generator):
    """Encodes by `read [rows, source, 8] → [rows, 8]`; its step adds a token to that."""

    config = ArchitectureConfig()

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.gru = nn.GRU(8, 8)

    @property
    def signature(self) -> GenerateSignature:
        state = State(name="hidden", dtype="float32", axes=("rows", 8), initial="start")
        return GenerateSignature(inputs=(SOURCE, LENGTHS), states=(state,))

    def forward(self, inputs: Mapping[str, Tensor], target_ids: Tensor) -> Tensor:
        raise NotImplementedError

    def encode(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"start": self.read(self.embedding(inputs["source_ids"]))}

    def read(self, x: Tensor) -> Tensor:
        return x.mean(dim=1)

    def step(
        self, token_ids: Tensor, position: Tensor, statics: Mapping[str, Tensor], states: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor], None]:
        hidden = states["hidden"] + self.embedding(token_ids)
        return hidden @ self.embedding.weight.T, {"hidden": hidden}, None


class Looping(Sketch):
    def read(self, x: Tensor) -> Tensor:
        hidden = x[:, 0]
        for index in range(1, x.shape[1]):
            hidden = torch.tanh(hidden + x[:, index])
        return hidden


class Frozen(Sketch):
    def read(self, x: Tensor) -> Tensor:
        return x.mean(dim=1)[:3]


class WrongGru(Sketch):
    def read(self, x: Tensor) -> Tensor:
        if not is_in_onnx_export():
            return x.mean(dim=1)
        weights = [w.unsqueeze(0) for w in (self.gru.weight_ih_l0, self.gru.weight_hh_l0)]
        _, final = ops.symbolic_multi_out(
            "GRU",
            (x.transpose(0, 1), *weights),
            {"hidden_size": 8},
            dtypes=(x.dtype, x.dtype),
            shapes=((x.shape[1], 1, x.shape[0], 8), (1, x.shape[0], 8)),
            version=22,
        )
        return final[0]


def example(rows: int = 3, source: int = 5) -> dict[str, Tensor]:
    return {"source_ids": torch.ones(rows, source, dtype=torch.int64), "source_lengths": torch.full((rows,), source)}


def test_a_graph_has_the_names_and_axes_of_the_signature() -> None:
    model = Sketch().eval()
    step = {
        "token_ids": torch.tensor([4, 5, 6]),
        "position": torch.tensor([0, 1, 2]),
        "k": torch.tensor(3),
        "hidden": torch.randn(3, 8),
    }
    graph = trace(model, "step", step).graph
    inputs = [(value.name, [str(size) for size in value.shape]) for value in graph.inputs]
    outputs = [(value.name, [str(size) for size in value.shape]) for value in graph.outputs]
    assert inputs == [("token_ids", ["rows"]), ("position", ["rows"]), ("k", []), ("hidden", ["rows", "8"])]
    assert outputs == [("candidates", ["rows", "k"]), ("scores", ["rows", "k"]), ("next.hidden", ["rows", "8"])]
    assert [node.op_type for node in graph].count("TopK") == 1


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            Looping(),
            r"\(inputs source_ids, source_lengths\): .* static shape of 5 for dimension .*\[0\].shape\[1\]",
        ),
        (Frozen(), r"'start' was traced as \['Min\(3, rows\)', '8'\], the signature says \['rows', '8'\]"),
        (WrongGru(), "linear_before_reset=0"),
    ],
)
def test_what_the_exporter_would_freeze_or_mistranslate_is_refused(model: Generator, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        trace(model.eval(), "encode", example())


def test_sizes_that_the_exporter_takes_for_constants_are_refused() -> None:
    with pytest.raises(TraceError, match="sizes of 2 or more"):
        trace(Sketch().eval(), "encode", example(rows=1))


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_best_tokens_come_with_their_log_probabilities(k: int) -> None:
    logits = torch.tensor([[2.0, -1.0, 500.0, 3.0, 0.5], [-200.0, -201.0, -199.0, -300.0, -198.5]])
    candidates, scores = best_tokens(logits, torch.tensor(k))
    expected = torch.log_softmax(logits.double(), dim=-1)
    assert torch.equal(candidates, expected.argsort(dim=-1, descending=True)[:, :k])
    torch.testing.assert_close(scores.double(), expected.gather(1, candidates), rtol=0, atol=1e-5)
