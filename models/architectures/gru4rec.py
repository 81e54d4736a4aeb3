"""GRU4Rec: a recurrent network over the items of a session."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor, nn

from models.layers.dropout import Dropout
from models.layers.recurrent import Cell, Recurrent
from models.recommender import Recommender, RecommenderConfig, last_position
from models.registry import register


class Gru4RecConfig(RecommenderConfig):
    """Sizes of GRU4Rec; `state_size` is the network's, mapped to `hidden_size` where the two differ."""

    cell: Cell = "gru"
    state_size: int = Field(default=128, ge=1)
    num_layers: int = Field(default=1, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)


@register("gru4rec", Gru4RecConfig, paper="Hidasi et al. 2016")
class Gru4Rec(Recommender):
    """Hidasi et al. 2016, "Session-based Recommendations with Recurrent Neural Networks".

    The network's state after the last item is the session's vector; the table of items is shared between input and
    output (the "constrained embedding" of the authors' own code). The ranking losses are the training's choice.
    """

    config: Gru4RecConfig

    def __init__(self, config: Gru4RecConfig) -> None:
        super().__init__(config)
        self.network = Recurrent(
            config.cell, config.hidden_size, config.state_size, config.num_layers, dropout=config.dropout
        )
        self.dropout = Dropout(config.dropout)
        same = config.state_size == config.hidden_size
        self.output = nn.Identity() if same else nn.Linear(config.state_size, config.hidden_size)

    def read(self, vectors: Tensor, item_counts: Tensor) -> Tensor:
        states: Tensor = self.output(self.dropout(self.network(vectors, item_counts)[0]))
        return states

    def read_last(self, vectors: Tensor, item_counts: Tensor) -> Tensor:
        states, _ = self.network(vectors, item_counts)
        last: Tensor = self.output(last_position(states, item_counts))
        return last
