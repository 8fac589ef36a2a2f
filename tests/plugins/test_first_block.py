"""The shorter way through a first block ends where the long one does."""

import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metapipe import Statistics
from metapipe.numerics import BatchNorm, apply, support_statistics
from metapipe_plugins.models.conv4 import Conv4
from metapipe_plugins.models.r2d2net import R2D2Net
from metapipe_plugins.parts.networks.first_block import FirstBlock

SLOPE = 0.1


class Long(nn.Module):
    """All maps normalised, and pooled last, by torch's own operations."""

    def __init__(self, conv: nn.Conv2d, norm: BatchNorm) -> None:
        super().__init__()
        self.conv, self.norm = conv, norm

    def forward(self, images: Tensor) -> Tensor:
        """As the first block."""
        maps = F.leaky_relu(self.norm(self.conv(images)), SLOPE)
        return F.max_pool2d(maps, 2)


def two(statistics: Statistics, *, scale: bool) -> tuple[FirstBlock, Long]:
    """The same parameters in both; scales of either sign."""
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 24, 3, padding=1, bias=False)
    norm = BatchNorm(24, statistics, scale=scale)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    long = Long(copy.deepcopy(conv), copy.deepcopy(norm)).double()
    return FirstBlock(conv, norm, nn.MaxPool2d(2), nn.LeakyReLU(SLOPE)).double(), long


def images(*size: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(*size, generator=generator, dtype=torch.float64)


def derivatives(network: nn.Module, inputs: Tensor) -> list[Tensor]:
    """Of a loss, and again of those, by the parameters and the images."""
    wanted = [*network.parameters(), inputs.requires_grad_()]
    found = network(inputs)
    loss = found.square().sum() + found.sin().sum()
    first = torch.autograd.grad(loss, wanted, create_graph=True)
    again = torch.autograd.grad(
        torch.stack([g.cos().sum() for g in first]).sum(), wanted
    )
    return [found, *first, *again]


@pytest.mark.parametrize("scale", [False, True])
@pytest.mark.parametrize("statistics", ["batch", "running"])
def test_values_and_two_derivatives(statistics: Statistics, scale: bool) -> None:
    short, long = two(statistics, scale=scale)
    for training in (True, False):
        short.train(training)
        long.train(training)
        found, expected = (derivatives(n, images(4, 2, 8, 10)) for n in (short, long))
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(short.state_dict(), long.state_dict())


def test_with_the_statistics_of_a_support_set() -> None:
    found = []
    for network in two("support", scale=True):
        params = dict(network.named_parameters())
        state = support_statistics(network, params, images(5, 2, 8, 8))
        found.append([apply(network, params, images(3, 2, 8, 8), state=state), state])
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-9)


def test_several_tasks_at_once_and_odd_sizes() -> None:
    short, long = two("batch", scale=True)
    batches = images(3, 4, 2, 7, 9)
    params = dict(short.named_parameters())
    together = torch.func.vmap(partial(apply, short, params))(batches)
    torch.testing.assert_close(together, torch.stack([long(each) for each in batches]))


def test_who_takes_it() -> None:
    """Only where patches are smaller than maps, and the norm is one of batches."""
    pooled = partial(Conv4, pooling="max")
    for model, shape, taken in (
        (pooled(), (1, 28, 28), True),
        (pooled(width=32, scale=True), (3, 32, 32), True),
        (pooled(width=16), (3, 32, 32), False),
        (pooled(norm="group"), (3, 32, 32), False),
        (pooled(normalise=False), (3, 32, 32), False),
        (Conv4(), (3, 32, 32), False),
        (R2D2Net(), (3, 32, 32), True),
    ):
        modules = model.build(shape, None, "batch").modules()
        assert any(isinstance(each, FirstBlock) for each in modules) == taken, model
