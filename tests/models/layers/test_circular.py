"""Windows that are written round and round."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from models.layers.circular import last_positions, write_circular


@given(st.integers(1, 5), st.lists(st.integers(1, 12), min_size=1, max_size=3))
def test_a_window_written_step_by_step_holds_the_last_positions(window: int, counts: list[int]) -> None:
    values = torch.arange(len(counts) * 12 * 2, dtype=torch.float32).view(len(counts), 1, 12, 2) + 1
    lengths = torch.tensor(counts)
    written = torch.zeros(len(counts), 1, window, 2)
    for step in range(max(counts)):
        position = torch.minimum(torch.tensor(step), lengths - 1)  # rows that are done write their last once more
        update = values[torch.arange(len(counts)), :, position].unsqueeze(2)
        written = write_circular(written, update, position)
    found = last_positions(values, lengths, window)
    for row, count in enumerate(counts):
        real = min(count, window)
        assert torch.equal(found[row, :, :real], written[row, :, :real])
        kept = sorted(found[row, 0, :real, 0].tolist())
        assert kept == values[row, 0, count - real : count, 0].tolist()


def test_what_is_read_at_once_goes_on_step_by_step() -> None:
    values = torch.randn(2, 3, 10, 4, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([4, 7])
    rows = torch.arange(2)
    window = last_positions(values, lengths, 3)
    after = write_circular(window, values[rows, :, lengths].unsqueeze(2), lengths)
    assert torch.equal(after, last_positions(values, lengths + 1, 3))


def test_the_window_that_was_given_stays_as_it_is() -> None:
    window = torch.zeros(1, 1, 2, 1)
    write_circular(window, torch.ones(1, 1, 1, 1), torch.tensor([5]))
    assert window.sum() == 0
