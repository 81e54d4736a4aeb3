"""What an architecture declares about its tensors, and the graph inputs and outputs that follow from it.

Two shapes cover every architecture. A *one-shot* model has one graph, `predict`. A *generate* model has two:
`encode(inputs…) → statics…, initial states…` and `step(token_ids, position, k, statics…, states…) → candidates,
scores, states…`. Families differ only in the tensors they declare here.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contract.axes import Axis

DType = Literal["float32", "float16", "int64", "int32", "int8", "uint8", "bool"]
GraphKind = Literal["predict", "encode", "step", "explain", "explain_step"]


class Frozen(BaseModel):
    """An immutable value object that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Tensor(Frozen):
    """A named tensor; `axes` gives each axis as a name of the closed list or a constant size."""

    name: str = Field(min_length=1)
    dtype: DType
    axes: tuple[Axis, ...]

    @model_validator(mode="after")
    def _rows_lead(self) -> Self:
        if self.axes and self.axes[0] != "rows" and self.axes != ("k",):
            raise ValueError(f"tensor {self.name!r}: axis 0 is {self.axes[0]!r}, must be 'rows'")
        if "rows" in self.axes[1:]:
            raise ValueError(f"tensor {self.name!r}: 'rows' may only be axis 0")
        return self

    @property
    def dynamic_axes(self) -> dict[int, str]:
        """Axis index → name, for the axes whose size varies."""
        return {index: axis for index, axis in enumerate(self.axes) if isinstance(axis, str)}


class State(Tensor):
    """What a step reads and writes for each row.

    `initial` names the encode output that starts it (which may be shorter than the state's capacity); None starts
    from zeros. `write` says how a step writes it: *replaced* whole; *at_position* along the capacity axis `target`
    (the runtime may bind one buffer as input and output); *circular*, at position modulo a constant window;
    *unchanged*: a fused operator demands it as an output too, in place, but writes what is there already.
    """

    initial: str | None = None
    write: Literal["replaced", "at_position", "circular", "unchanged"] = "replaced"

    @model_validator(mode="after")
    def _capacity_axis(self) -> Self:
        if (self.write == "at_position") != ("target" in self.axes):
            raise ValueError(f"state {self.name!r}: 'at_position' states alone have the capacity axis 'target'")
        if self.write == "circular" and len(self.dynamic_axes) > 1:
            raise ValueError(f"state {self.name!r}: a 'circular' state has constant axes behind 'rows': {self.axes}")
        if self.write == "unchanged" and self.initial is None:
            raise ValueError(f"state {self.name!r}: an 'unchanged' state starts from an encode output")
        return self

    @property
    def successor(self) -> str:
        """Name of the step output that carries this state's next value."""
        return f"next.{self.name}"


class Attention(Frozen):
    """What a request sees when it asks what the model looked at.

    `name` is the output of the explain graph that holds the map, `axes` are those of the map of one reply, and
    `normalised` says whether weights over real positions of the last axis sum to 1.
    """

    name: str = "attention"
    axes: tuple[Axis, ...]
    normalised: bool = True


TOKEN_IDS = Tensor(name="token_ids", dtype="int64", axes=("rows",))
POSITION = Tensor(name="position", dtype="int64", axes=("rows",))
K = Tensor(name="k", dtype="int64", axes=())
CANDIDATES = Tensor(name="candidates", dtype="int64", axes=("rows", "k"))
SCORES = Tensor(name="scores", dtype="float32", axes=("rows", "k"))
TARGET_IDS = Tensor(name="target_ids", dtype="int64", axes=("rows", "target"))


class GenerateSignature(Frozen):
    """Tensors of an encoder-decoder or a generator.

    A static is produced by `encode` under its own name, or is an encode input of the same name handed on to each
    step (`source_lengths`). `explain` says which graph yields attention maps: a teacher-forced `explain` graph or an
    `explain_step` graph driven over the known tokens.
    """

    shape: Literal["generate"] = "generate"
    inputs: tuple[Tensor, ...]
    statics: tuple[Tensor, ...] = ()
    states: tuple[State, ...] = ()
    attention: Attention | None = None
    explain: Literal["explain", "explain_step"] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [t.name for t in (*self.statics, *self.states)]
        if duplicates := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"declared twice: {', '.join(duplicates)}")
        if (self.attention is None) != (self.explain is None):
            raise ValueError("attention and explain are declared together or not at all")
        return self

    @property
    def explains(self) -> bool:
        """Whether there are attention maps."""
        return self.attention is not None

    def graph(self, kind: GraphKind) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Inputs and outputs of one graph, in order."""
        if kind == "encode":
            return self.inputs, self._encode_outputs()
        if kind in ("step", "explain_step"):
            states = tuple(_plain(state) for state in self.states)
            successors = tuple(_plain(state, state.successor) for state in self.states)
            outputs = (CANDIDATES, SCORES, *successors)
            if kind == "explain_step":
                outputs = (*outputs, self._attention_output(without_target=True))
            return (TOKEN_IDS, POSITION, K, *self.statics, *states), outputs
        if kind == "explain" and self.attention is not None:
            return (*self.inputs, TARGET_IDS), (self._attention_output(without_target=False),)
        raise ValueError(f"a generate model has no graph {kind!r}")

    def graph_kinds(self) -> tuple[GraphKind, ...]:
        """The graphs that a bundle of this model holds."""
        return ("encode", "step") if self.explain is None else ("encode", "step", self.explain)

    def _encode_outputs(self) -> tuple[Tensor, ...]:
        inputs = {tensor.name for tensor in self.inputs}
        produced = [tensor for tensor in self.statics if tensor.name not in inputs]
        produced += [_plain(state, state.initial) for state in self.states if state.initial is not None]
        return tuple({tensor.name: tensor for tensor in produced}.values())

    def _attention_output(self, *, without_target: bool) -> Tensor:
        assert self.attention is not None
        axes = tuple(axis for axis in self.attention.axes if not (without_target and axis == "target"))
        return Tensor(name="attention", dtype="float32", axes=("rows", *axes))


class PredictSignature(Frozen):
    """Tensors of a model that answers in a single pass.

    `attention` lists the maps of the `explain` graph (a hierarchical model has one for each level), which takes the
    inputs named by `explained`, or all of them.
    """

    shape: Literal["predict"] = "predict"
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    attention: tuple[Attention, ...] = ()
    explained: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [tensor.name for tensor in self.inputs]
        if unknown := [name for name in self.explained if name not in names]:
            raise ValueError(f"explained names what is no input: {', '.join(unknown)}")
        if self.explained and not self.attention:
            raise ValueError("explained is given, but there is no attention to explain with")
        return self

    @property
    def explains(self) -> bool:
        """Whether there are attention maps."""
        return bool(self.attention)

    def graph(self, kind: GraphKind) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Inputs and outputs of one graph, in order."""
        if kind == "predict":
            return self.inputs, self.outputs
        if kind == "explain" and self.attention:
            inputs = tuple(t for t in self.inputs if not self.explained or t.name in self.explained)
            return inputs, tuple(
                Tensor(name=each.name, dtype="float32", axes=("rows", *each.axes)) for each in self.attention
            )
        raise ValueError(f"a one-shot model has no graph {kind!r}")

    def graph_kinds(self) -> tuple[GraphKind, ...]:
        """The graphs that a bundle of this model holds."""
        return ("predict", "explain") if self.attention else ("predict",)


Signature = GenerateSignature | PredictSignature


def _plain(state: State, name: str | None = None) -> Tensor:
    return Tensor(name=name or state.name, dtype=state.dtype, axes=state.axes)
