from __future__ import annotations

from typing import Any

import pytest
import torch

from models.architecture import Generator
from models.registry import build, parse
from models.training.decode import draw_texts, greedy_decode

SIZES: dict[str, dict[str, Any]] = {
    "transformer": {"hidden_size": 16, "feed_forward_size": 24, "encoder_layers": 1, "decoder_layers": 2},
    "attention_seq2seq": {"embedding_size": 8, "hidden_size": 12, "encoder_hidden_size": 6},
    "recurrent_seq2seq": {"embedding_size": 8, "hidden_size": 12, "cell": "lstm"},
}
BOS, EOS, VOCABULARY, LENGTH = 2, 3, 11, 9


def model(name: str) -> Generator:
    torch.manual_seed(4)
    vocabularies = {"source_vocabulary_size": VOCABULARY, "target_vocabulary_size": VOCABULARY}
    built = build(name, parse(name, vocabularies | SIZES[name]))
    assert isinstance(built, Generator)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.mul_(4)  # freshly initialised models say one thing to everything
    return built.eval()


def inputs(*lengths: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(7)
    ids = torch.randint(4, VOCABULARY, (len(lengths), max(lengths)))
    return {"source_ids": ids, "source_lengths": torch.tensor(lengths)}


@torch.no_grad()
def by_full_forward(generator: Generator, batch: dict[str, torch.Tensor]) -> list[list[int]]:
    """The same search without states: the whole target anew for each token."""
    target = torch.full((len(batch["source_ids"]), 1), BOS)
    for _ in range(LENGTH):
        target = torch.cat([target, generator(batch, target)[:, -1].argmax(dim=1, keepdim=True)], dim=1)
    return [row[: row.index(EOS)] if EOS in row else row for row in target[:, 1:].tolist()]


@pytest.mark.parametrize("name", SIZES)
def test_decoding_by_steps_equals_decoding_by_full_forward(name: str) -> None:
    generator, batch = model(name), inputs(5, 2, 1, 4)
    rows = greedy_decode(generator, batch, bos=BOS, eos=EOS, max_length=LENGTH)
    assert rows == by_full_forward(generator, batch)
    assert len({tuple(row) for row in rows}) > 1


def test_decoding_stops_when_every_row_has_ended() -> None:
    generator = model("transformer")
    calls = []
    step = generator.step

    def ending(token_ids: torch.Tensor, position: torch.Tensor, *tensors: Any) -> Any:
        calls.append(position[0].item())
        logits, states, attention = step(token_ids, position, *tensors)
        logits[:, EOS] = torch.where(torch.tensor([1, 3]) < len(calls), torch.inf, -torch.inf)
        return logits, states, attention

    generator.step = ending  # type: ignore[method-assign]
    rows = greedy_decode(generator, inputs(3, 3), bos=BOS, eos=EOS, max_length=LENGTH)
    assert [len(row) for row in rows] == [1, 3]
    assert calls == [0, 1, 2, 3]


def test_texts_are_drawn_as_often_as_the_model_finds_them_probable() -> None:
    generator, batch, copies = model("recurrent_seq2seq"), inputs(5, 2), 400
    torch.manual_seed(1)
    drawn = draw_texts(generator, batch, copies=copies, bos=BOS, eos=EOS, max_length=1)
    assert len(drawn) == 2 * copies
    first = generator(batch, torch.full((2, 1), BOS))[:, 0].softmax(dim=1)
    for row, probabilities in enumerate(first):
        of_row = [ids[0] if ids else EOS for ids in drawn[row * copies : (row + 1) * copies]]
        shares = torch.tensor(of_row).bincount(minlength=VOCABULARY) / copies
        assert (shares - probabilities).abs().max() < 0.08
    assert not torch.allclose(first[0], first[1], atol=0.1), "rows that draw alike would prove nothing"
