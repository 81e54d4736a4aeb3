"""The eager branches; that the exported operators agree with them is the battery's to show."""

from __future__ import annotations

import math

import torch

from models.layers.exportable import (
    attention,
    axis_size,
    cached_attention,
    length_mask,
    memory_attention,
    merge_heads,
    self_attention,
    split_heads,
)


def test_a_mask_is_true_at_real_positions() -> None:
    assert length_mask(torch.tensor([2, 3]), 3).tolist() == [[True, True, False], [True, True, True]]


def test_heads_are_split_and_merged() -> None:
    x = torch.arange(24.0).view(1, 3, 8)
    heads = split_heads(x, 2)
    assert heads.shape == (1, 2, 3, 4)
    assert torch.equal(heads[0, 1, 0], x[0, 0, 4:])
    assert torch.equal(merge_heads(heads), x)


def reference(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """One head, one row: `[queries, size]` over `[time, size]`."""
    return (query @ keys.T / math.sqrt(query.shape[1])).softmax(dim=1) @ values


def test_attention_sees_the_first_keys_of_each_row_by_head() -> None:
    torch.manual_seed(0)
    query, keys, values = torch.randn(2, 2, 3, 4), torch.randn(2, 2, 5, 4), torch.randn(2, 2, 5, 4)
    found = attention(query, keys, values, torch.tensor([2, 5]))
    for row, length in enumerate((2, 5)):
        for head in range(2):
            expected = reference(query[row, head], keys[row, head, :length], values[row, head, :length])
            torch.testing.assert_close(found[row, head], expected)


def test_self_attention_sees_a_rows_length_or_no_later_position() -> None:
    torch.manual_seed(0)
    query_key_value = torch.randn(2, 4, 24)
    causal = self_attention(query_key_value, None, heads=2)
    padded = self_attention(query_key_value, torch.tensor([4, 2]), heads=2)
    for row, length in enumerate((4, 2)):
        for head in (slice(0, 4), slice(4, 8)):
            query, keys, values = (part[row, :, head] for part in query_key_value.chunk(3, dim=-1))
            torch.testing.assert_close(padded[row, :, head], reference(query, keys[:length], values[:length]))
            for t in range(4):
                expected = reference(query[t : t + 1], keys[: t + 1], values[: t + 1])
                torch.testing.assert_close(causal[row, t : t + 1, head], expected)


def test_memory_attention_sees_positions_up_to_the_last_and_leaves_the_memory_alone() -> None:
    torch.manual_seed(0)
    query, keys, values = torch.randn(2, 1, 8), torch.randn(2, 2, 5, 4), torch.randn(2, 2, 5, 4)
    last = torch.tensor([4, 1])
    ends = [part[torch.arange(2), :, last].flatten(1).unsqueeze(1) for part in (keys, values)]
    found, same_keys, same_values = memory_attention(query, *ends, keys, values, last, axis_size(keys, 2))
    assert torch.equal(same_keys, keys)
    assert torch.equal(same_values, values)
    for row, length in enumerate((5, 2)):
        for head in range(2):
            part = slice(head * 4, head * 4 + 4)
            expected = reference(query[row, :, part], keys[row, head, :length], values[row, head, :length])
            torch.testing.assert_close(found[row, :, part], expected)


def test_cached_attention_writes_at_each_rows_position_and_sees_what_is_written() -> None:
    torch.manual_seed(0)
    keys, values = torch.randn(2, 2, 5, 4), torch.randn(2, 2, 5, 4)
    query_key_value, position = torch.randn(2, 1, 24), torch.tensor([3, 0])
    attended, new_keys, new_values = cached_attention(query_key_value, keys, values, position, axis_size(keys, 2))
    for row, at in enumerate(position.tolist()):
        for head in range(2):
            query, key, value = query_key_value[row].view(3, 2, 4)[:, head]
            assert torch.equal(new_keys[row, head, at], key)
            assert torch.equal(new_values[row, head, at], value)
            assert torch.equal(new_keys[row, head, :at], keys[row, head, :at])
            assert torch.equal(new_values[row, head, at + 1 :], values[row, head, at + 1 :])
            expected = reference(query[None], new_keys[row, head, : at + 1], new_values[row, head, : at + 1])
            torch.testing.assert_close(attended[row, :, head * 4 : head * 4 + 4], expected)
