from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
import torch

from models.layers.linear_chain import LinearChain

TAGS = ("O", "B-A", "I-A", "B-B", "I-B")
LENGTHS = torch.tensor([4, 1, 3])


@pytest.fixture
def chain() -> LinearChain:
    torch.manual_seed(1)
    layer = LinearChain(TAGS)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
    return layer


def legal(path: tuple[int, ...]) -> bool:
    names = ["O", *(TAGS[tag] for tag in path)]
    return all(not tag.startswith("I-") or before in (f"B-{tag[2:]}", tag) for before, tag in pairwise(names))


def path_score(chain: LinearChain, emissions: torch.Tensor, path: tuple[int, ...]) -> float:
    start, transitions, end = (scores.detach() for scores in (chain.start, chain.transitions, chain.end))
    total = start[path[0]] + end[path[-1]] + sum(emissions[i, tag] for i, tag in enumerate(path))
    return float(total + sum(transitions[one, other] for one, other in pairwise(path)))


def test_the_likelihood_is_the_share_among_all_legal_paths(chain: LinearChain) -> None:
    emissions = torch.randn(3, 4, 5)
    tags = torch.tensor([[1, 2, 0, 3], [3, 0, 0, 0], [0, 1, 1, 0]])
    found = chain.negative_log_likelihood(emissions, tags, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        paths = [path for path in product(range(5), repeat=length) if legal(path)]
        scores = torch.tensor([path_score(chain, emissions[row], path) for path in paths])
        expected = scores.logsumexp(0) - path_score(chain, emissions[row], tuple(tags[row, :length].tolist()))
        torch.testing.assert_close(found[row], expected, rtol=0, atol=1e-4)


def test_likelihoods_of_all_legal_paths_sum_to_one_and_an_illegal_one_has_none(chain: LinearChain) -> None:
    emissions = torch.randn(1, 3, 5)
    paths = list(product(range(5), repeat=3))
    every = torch.tensor(paths)
    losses = chain.negative_log_likelihood(emissions.expand(len(paths), -1, -1), every, torch.full((len(paths),), 3))
    allowed = torch.tensor([legal(path) for path in paths])
    torch.testing.assert_close((-losses[allowed]).exp().sum(), torch.tensor(1.0), rtol=0, atol=1e-5)
    assert (losses[~allowed] > 1_000).all()


def test_padding_changes_neither_the_loss_nor_the_gradient(chain: LinearChain) -> None:
    emissions = torch.randn(3, 4, 5, requires_grad=True)
    tags = torch.tensor([[1, 2, 0, 3], [3, 4, 4, 4], [0, 1, 1, 2]])
    chain.negative_log_likelihood(emissions, tags, LENGTHS).sum().backward()
    assert emissions.grad is not None
    assert emissions.grad[0].abs().sum(dim=1).min() > 0
    assert (emissions.grad[1, 1:] == 0).all()
    assert (emissions.grad[2, 3:] == 0).all()


def test_extreme_emissions_give_finite_losses_and_gradients(chain: LinearChain) -> None:
    emissions = (torch.randn(3, 4, 5) * 500).requires_grad_()
    loss = chain.negative_log_likelihood(emissions, torch.zeros(3, 4, dtype=torch.long), LENGTHS)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert emissions.grad is not None
    assert emissions.grad.isfinite().all()


def test_the_host_decodes_what_was_learnt(chain: LinearChain) -> None:
    """The host's marginals are the gradient of the log-partition by the emissions, as they must be in theory."""
    emissions = torch.randn(1, 4, 5, requires_grad=True)
    path, sureness = chain.tag_set().decode(emissions.detach().numpy()[0])
    best = chain.negative_log_likelihood(emissions, torch.tensor([path]), torch.tensor([4]))
    best.sum().backward()
    assert emissions.grad is not None
    # d loss / d emission = marginal - 1 at the path's own tags.
    own = emissions.grad[0, torch.arange(4), torch.tensor(path)].numpy() + 1
    np.testing.assert_allclose(own, sureness, atol=1e-4)
    paths = torch.tensor([list(each) for each in product(range(5), repeat=4) if legal(each)])
    others = chain.negative_log_likelihood(
        emissions.detach().expand(len(paths), -1, -1), paths, torch.full((len(paths),), 4)
    )
    assert others.min().item() == pytest.approx(best.item(), abs=1e-4)
