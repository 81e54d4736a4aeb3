from __future__ import annotations

import torch
import torch.nn.functional as F

from models.layers.bert import BertEncoder
from models.layers.transformer import PostNormLayer

IDS = torch.tensor([[5, 3, 8, 1], [7, 2, 0, 0]])
LENGTHS = torch.tensor([4, 2])


def encoder(num_layers: int) -> BertEncoder:
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_heads": 2, "feed_forward_size": 12, "max_length": 6}
    made = BertEncoder(9, num_layers=num_layers, dropout=0.0, **sizes).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return made


def test_an_embedding_is_the_normalised_sum_of_token_and_position() -> None:
    made = encoder(1)
    token, position = made.token_embedding.weight[8], made.position_embedding.weight[2]
    expected = F.layer_norm(token + position, (8,), made.embedding_norm.weight, made.embedding_norm.bias, 1e-12)
    torch.testing.assert_close(made.embed(IDS)[0, 2], expected)


def test_a_layer_adds_and_then_normalises() -> None:
    torch.manual_seed(0)
    layer = PostNormLayer(8, 2, 12, 0.0, 1e-12).eval()
    x = torch.randn(2, 4, 8)
    attended = x + layer.self_attention(x, LENGTHS)
    middle = F.layer_norm(attended, (8,), eps=1e-12)
    inner = layer.feed_forward.inner(middle)
    exact = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
    expected = F.layer_norm(middle + layer.feed_forward.outer(exact), (8,), eps=1e-12)
    torch.testing.assert_close(layer(x, LENGTHS), expected)


def test_what_stands_at_padding_changes_no_hidden_state() -> None:
    made = encoder(2)
    other = IDS.clone()
    other[1, 2:] = torch.tensor([4, 6])
    torch.testing.assert_close(made(IDS, LENGTHS)[1, :2], made(other, LENGTHS)[1, :2])
    torch.testing.assert_close(made(IDS, LENGTHS)[1, :2], made(IDS[1:, :2], LENGTHS[1:])[0])


def test_rollout_multiplies_what_every_layer_hands_on() -> None:
    made = encoder(2)
    x = made.embed(IDS[:1])
    first, second = made.layers
    below = (first.self_attention.weights(x, LENGTHS[:1])[0] + torch.eye(4)) / 2
    above = (second.self_attention.weights(first(x, LENGTHS[:1]), LENGTHS[:1])[0] + torch.eye(4)) / 2
    torch.testing.assert_close(made.rollout(IDS, LENGTHS)[0], above @ below)


def test_rollout_sums_to_one_and_gives_padding_nothing() -> None:
    flow = encoder(3).rollout(IDS, LENGTHS)
    torch.testing.assert_close(flow.sum(dim=-1), torch.ones(2, 4))
    assert (flow[1, :, 2:] == 0).all()
    assert (flow[1, :2, :2] > 0).all()
