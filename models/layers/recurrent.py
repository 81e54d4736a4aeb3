"""Deep recurrent networks over padded rows, and the same weights one step at a time.

Elman 1990 (RNN), Hochreiter and Schmidhuber 1997 (LSTM), Cho et al. 2014 (GRU, in cuDNN's form: the reset gate is
applied after the recurrent product).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.onnx import is_in_onnx_export, ops

Cell = Literal["rnn", "lstm", "gru"]
LayerState = tuple[Tensor, ...]
"""What one layer keeps between two steps, each part `[rows, size]`: (hidden,) or, for an LSTM, (hidden, cell)."""

PARTS: dict[Cell, tuple[str, ...]] = {"rnn": ("hidden",), "lstm": ("hidden", "cell"), "gru": ("hidden",)}
_MODULES: dict[Cell, type[nn.RNN | nn.LSTM | nn.GRU]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
_KERNELS: dict[Cell, Callable[..., tuple[Tensor, ...]]] = {"rnn": torch.rnn_tanh, "lstm": torch.lstm, "gru": torch.gru}
# For each cell the place, in PyTorch's weights, of the gates in ONNX's order: LSTM i o f c, GRU z r h.
_ONNX_GATES: dict[Cell, tuple[int, ...]] = {"rnn": (0,), "lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}
_ONNX_OPSET = 22
_Attribute = int | float | str | bool | Sequence[int] | Sequence[float] | Sequence[str] | Sequence[bool]


def state_names(cell: Cell, layers: int) -> list[tuple[str, ...]]:
    """Names of each layer's parts: `layer.<i>.hidden` and, for an LSTM, `layer.<i>.cell`."""
    return [tuple(f"layer.{index}.{part}" for part in PARTS[cell]) for index in range(layers)]


def name_states(cell: Cell, states: Sequence[LayerState]) -> dict[str, Tensor]:
    """Layer states → tensors by name."""
    names = state_names(cell, len(states))
    return {
        name: part for layer, state in zip(names, states, strict=True) for name, part in zip(layer, state, strict=True)
    }


def layer_states(cell: Cell, layers: int, named: Mapping[str, Tensor]) -> list[LayerState]:
    """Tensors by name → layer states."""
    return [tuple(named[name] for name in layer) for layer in state_names(cell, layers)]


class Recurrent(nn.Module):
    """A stack of recurrent layers, forward or bidirectional.

    Args:
        cell: rnn (tanh), lstm or gru.
        input_size: size of an input vector.
        hidden_size: size of the hidden state of one direction.
        layers: depth.
        bidirectional: read backward as well; the two directions of a layer are concatenated.
        dropout: probability between two layers, while training.
    """

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        hidden_size: int,
        layers: int = 1,
        *,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.cell = cell
        self.layers = layers
        self.directions = 2 if bidirectional else 1
        self.hidden_size = hidden_size
        self.output_size = hidden_size * self.directions
        self.dropout = dropout
        self.network = _MODULES[cell](
            input_size,
            hidden_size,
            layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=dropout if layers > 1 else 0.0,
        )
        for name, weight in self.network.named_parameters():
            if name.startswith("weight_hh"):
                # Gate by gate, so that each gate's map keeps the length of the state (Saxe et al. 2014).
                for gate in weight.detach().chunk(len(_ONNX_GATES[cell])):
                    nn.init.orthogonal_(gate)

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, list[LayerState]]:
        """Read padded rows, starting from zeros.

        Args:
            inputs: `[rows, time, input_size]`.
            lengths: `[rows]`, each at least 1.

        Returns:
            outputs of the top layer `[rows, time, output_size]`, zero past each row's length, and the final state of
            every layer, its parts `[rows, output_size]` (of the backward direction: the state at the first position).
        """
        if is_in_onnx_export():
            return self._export(inputs, lengths)
        packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        packed_outputs, final = self.network(packed)
        outputs, _ = pad_packed_sequence(packed_outputs, batch_first=True, total_length=inputs.shape[1])
        # [layers · directions, rows, hidden] -> per layer [rows, directions · hidden]
        parts = [
            part.unflatten(0, (self.layers, self.directions)).transpose(1, 2).flatten(2).unbind()
            for part in (final if isinstance(final, tuple) else (final,))
        ]
        return outputs, list(zip(*parts, strict=True))

    def outputs(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """The outputs of `forward` alone, `[rows, time, output_size]`, in half the time of a training step on a CPU.

        Rows stay padded: the kernels that read a whole sequence at once do not take packed ones. What is read backward
        is turned over within each row's length first, so that neither direction meets padding before its end.
        """
        if is_in_onnx_export():
            return self._export(inputs, lengths)[0]
        place = torch.arange(inputs.shape[1], device=inputs.device)
        real = place < lengths[:, None]
        turned = torch.where(real, lengths[:, None] - 1 - place, place).unsqueeze(2)
        outputs = inputs
        for layer in range(self.layers):
            if layer:
                outputs = F.dropout(outputs, self.dropout, self.training)
            ahead = self._read(layer, "", outputs)
            if self.directions == 1:
                outputs = ahead
                continue
            back = self._read(layer, "_reverse", outputs.gather(1, turned.expand_as(outputs)))
            outputs = torch.cat([ahead, back.gather(1, turned.expand_as(back))], dim=2)
        return outputs * real.unsqueeze(2)

    def _read(self, layer: int, suffix: str, inputs: Tensor) -> Tensor:
        """One direction of one layer over whole rows, padding included."""
        start = inputs.new_zeros(1, inputs.shape[0], self.hidden_size)
        state = (start, start) if self.cell == "lstm" else start
        weights = list(self._weights(layer, suffix))
        outputs: Tensor = _KERNELS[self.cell](inputs, state, weights, True, 1, 0.0, self.training, False, True)[0]
        return outputs

    def unroll(self, inputs: Tensor, initial: Sequence[LayerState]) -> Tensor:
        """Teacher forcing: all of `inputs [rows, time, input_size]` from given states → outputs `[rows, time, hidden]`.

        The same numbers as one `step` after another. A forward network only; never exported.
        """
        parts = tuple(torch.stack(part) for part in zip(*initial, strict=True))
        outputs: Tensor = self.network(inputs, parts if len(parts) > 1 else parts[0])[0]
        return outputs

    def step(self, inputs: Tensor, states: Sequence[LayerState]) -> tuple[Tensor, list[LayerState]]:
        """One position: `inputs [rows, input_size]` → output `[rows, hidden_size]` and the next state of every layer.

        Written with plain matrix products, because they export to few nodes and quantise, unlike ONNX's recurrent ops.
        """
        following: list[LayerState] = []
        output = inputs
        for layer, state in enumerate(states):
            if layer:
                output = F.dropout(output, self.dropout, self.training)
            following.append(self._step_layer(layer, output, state))
            output = following[-1][0]
        return output, following

    def _step_layer(self, layer: int, inputs: Tensor, state: LayerState) -> LayerState:
        input_weight, hidden_weight, input_bias, hidden_bias = self._weights(layer, "")
        hidden = state[0]
        from_input = F.linear(inputs, input_weight, input_bias)
        from_hidden = F.linear(hidden, hidden_weight, hidden_bias)
        if self.cell == "rnn":
            return (torch.tanh(from_input + from_hidden),)
        if self.cell == "gru":
            sizes = [2 * self.hidden_size, self.hidden_size]
            input_gates, input_new = from_input.split(sizes, dim=-1)
            hidden_gates, hidden_new = from_hidden.split(sizes, dim=-1)
            reset, update = torch.sigmoid(input_gates + hidden_gates).chunk(2, dim=-1)
            new = torch.tanh(input_new + reset * hidden_new)
            return (new + update * (hidden - new),)
        enter, forget, new, leave = (from_input + from_hidden).chunk(4, dim=-1)
        cell = torch.sigmoid(forget) * state[1] + torch.sigmoid(enter) * torch.tanh(new)
        return torch.sigmoid(leave) * torch.tanh(cell), cell

    def _weights(self, layer: int, suffix: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        first, second, third, fourth = (getattr(self.network, f"{name}_l{layer}{suffix}") for name in names)
        return first, second, third, fourth

    def _export(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, list[LayerState]]:
        outputs = inputs.transpose(0, 1)
        final: list[LayerState] = []
        for layer in range(self.layers):
            outputs, state = self._export_layer(layer, outputs, lengths.to(torch.int32))
            final.append(state)
        return outputs.transpose(0, 1), final

    def _export_layer(self, layer: int, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, LayerState]:
        """One ONNX node: `inputs [time, rows, size]` → outputs `[time, rows, output_size]` and the final state.

        `torch.export` cannot see through packed sequences, and only ONNX's own ops take the lengths.
        """
        time, rows, _ = inputs.shape
        suffixes = ("", "_reverse")[: self.directions]
        directions = [[self._onnx_gates(w) for w in self._weights(layer, suffix)] for suffix in suffixes]
        operands = (
            torch.stack([weights[0] for weights in directions]),
            torch.stack([weights[1] for weights in directions]),
            torch.stack([torch.cat(weights[2:]) for weights in directions]),
        )
        attributes: dict[str, _Attribute] = {
            "hidden_size": self.hidden_size,
            "direction": "bidirectional" if self.directions == 2 else "forward",
        }
        if self.cell == "gru":
            attributes["linear_before_reset"] = 1
        final_shape = (self.directions, rows, self.hidden_size)
        outputs, *final = ops.symbolic_multi_out(
            self.cell.upper(),
            (inputs, *operands, lengths),
            attributes,
            dtypes=(inputs.dtype,) * (1 + len(PARTS[self.cell])),
            shapes=((time, *final_shape), *(final_shape for _ in PARTS[self.cell])),
            version=_ONNX_OPSET,
        )
        return outputs.transpose(1, 2).flatten(2), tuple(part.transpose(0, 1).flatten(1) for part in final)

    def _onnx_gates(self, weight: Tensor) -> Tensor:
        gates = weight.chunk(len(_ONNX_GATES[self.cell]))
        return torch.cat([gates[index] for index in _ONNX_GATES[self.cell]])
