"""A recurrent cell that looks back at all its earlier states instead of the last one: LSTMN.

Cheng et al. 2016, "Long Short-Term Memory-Networks for Machine Reading", section 3.1, equations 4 to 9.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan
from torch.onnx import is_in_onnx_export

from models.layers.attention.window import masked_softmax

Tapes = tuple[Tensor, Tensor, Tensor]
"""What is remembered of every position: hidden and cell states and attention keys, `[rows, time, …]` each."""


class IntraAttention(nn.Module):
    """LSTM whose previous state is a sum over all positions before, weighed by attention.

    The first word has none before it. It reads the empty first place of the tapes, which is a state of zeros, so that
    the weights of every position sum to 1.
    """

    def __init__(self, input_size: int, hidden_size: int, attention_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.attention_size = attention_size
        self.input_gates = nn.Linear(input_size, 4 * hidden_size)
        self.hidden_gates = nn.Linear(hidden_size, 4 * hidden_size, bias=False)
        self.input_query = nn.Linear(input_size, attention_size)
        self.state_query = nn.Linear(hidden_size, attention_size, bias=False)
        self.key = nn.Linear(hidden_size, attention_size, bias=False)
        self.energy = nn.Linear(attention_size, 1, bias=False)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Read left to right: `inputs [rows, time, input]` → states `[rows, time, hidden]`, weights over time.

        Weights `[rows, time, time]` go from each position to those before it. Nothing flows from a position to earlier
        ones, so what stands past a row's end does not matter before it.
        """
        # Time comes first: both loops go along axis 0.
        gates, queries = self.input_gates(inputs).transpose(0, 1), self.input_query(inputs).transpose(0, 1)
        return self._scan(gates, queries) if is_in_onnx_export() else self._loop(gates, queries)

    def _loop(self, gates: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
        """The tapes hold as many positions as there are, at least the empty first one."""
        time, rows, _ = gates.shape
        reached = hidden = gates.new_zeros(rows, self.hidden_size)
        states, cells, keys = [hidden], [hidden], [self.key(hidden)]
        rows_of_weights = []
        for place in range(time):
            tapes = torch.stack(states, dim=1), torch.stack(cells, dim=1), torch.stack(keys, dim=1)
            everywhere = torch.ones(1, len(states), dtype=torch.bool, device=gates.device)
            hidden, cell, reached, weights = self._step(gates[place], queries[place], tapes, reached, everywhere)
            rows_of_weights.append(F.pad(weights, (0, time - len(states))))
            if place == 0:
                states, cells, keys = [], [], []
            states.append(hidden)
            cells.append(cell)
            keys.append(self.key(hidden))
        return torch.stack(states, dim=1), torch.stack(rows_of_weights, dim=1)

    def _scan(self, gates: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
        """The tapes are as long as the text from the start, and filled from the left: ONNX loops keep their shapes."""
        time, rows, _ = gates.shape
        places = torch.arange(time, device=gates.device)
        states = gates.new_zeros(rows, time, self.hidden_size)
        start = [
            states,
            states.clone(),
            gates.new_zeros(rows, time, self.attention_size),
            states.new_zeros(rows, self.hidden_size),
        ]

        def step(carried: list[Tensor], now: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            states, cells, keys, reached = carried
            gate, query, place = now
            before = (places < place.clamp(min=1)).unsqueeze(0)
            hidden, cell, reached, weights = self._step(gate, query, (states, cells, keys), reached, before)
            here = (places == place)[None, :, None]
            written = ((hidden, states), (cell, cells), (self.key(hidden), keys))
            tapes = [torch.where(here, new.unsqueeze(1), tape) for new, tape in written]
            return [*tapes, reached], [weights.clone()]

        (states, *_), (weights,) = scan(step, start, [gates, queries, places])
        return states, weights.transpose(0, 1)

    def _step(
        self, gates: Tensor, query: Tensor, tapes: Tapes, reached: Tensor, allowed: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One word: its new hidden and cell state, the hidden state it looked back at, and the weights `[rows, time]`.

        `gates [rows, 4 · hidden]` and `query [rows, attention]` are the word's share of both; `reached [rows, hidden]`
        is what the word before looked back at; `allowed` is True at positions that may be seen.
        """
        states, cells, keys = tapes
        scores = self.energy(torch.tanh(keys + (query + self.state_query(reached)).unsqueeze(1))).squeeze(-1)
        weights = masked_softmax(scores, allowed)
        reached, cell = ((weights.unsqueeze(1) @ tape).squeeze(1) for tape in (states, cells))
        enter, forget, leave, new = (gates + self.hidden_gates(reached)).chunk(4, dim=-1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
        return torch.sigmoid(leave) * torch.tanh(cell), cell, reached, weights
