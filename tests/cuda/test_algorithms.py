"""Every algorithm on a GPU: the figures of the CPU, by each task map, to the same bits.

`pytest -m cuda` runs these, and they skip where there is no GPU.
"""

from pathlib import Path

import pytest
import torch
from gpus import OF_SAMPLES, OF_WORLDS, Training, difference, mappable

from metapipe.numerics import apply, gradient
from metapipe.training.checkpoint import load, save

pytestmark = pytest.mark.cuda
ALGORITHMS = [*OF_SAMPLES, *OF_WORLDS]
DAMPED = {"maml-trpo": {"algorithm": {"damping": 0.1}}}
"""Of a few short trajectories the curvature is nearly singular, and conjugate gradients
make anything of rounding there."""


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_losses_are_those_of_the_cpu(algorithm) -> None:
    ours, theirs = (Training(algorithm, device) for device in ("cuda", "cpu"))
    assert all(p.is_cuda for p in ours.state.meta.params.values())
    assert ours.losses(3) == pytest.approx(theirs.losses(3), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_task_maps_agree(algorithm) -> None:
    training = Training(algorithm, "cuda", more=DAMPED.get(algorithm))
    wanted = training.step("loop")
    for mapping in ("vmap", "chunks:2"):
        if mappable(algorithm, mapping):
            found = training.step(mapping)
            assert found.metrics["loss"].tolist() == pytest.approx(
                wanted.metrics["loss"].tolist(), rel=1e-3, abs=1e-4
            )
            assert difference(wanted, found) < 1e-3


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("mapping", ["loop", "vmap"])
def test_stopped_and_resumed_it_has_the_undisturbed_bits(
    tmp_path: Path, algorithm, mapping
) -> None:
    if not mappable(algorithm, mapping):
        pytest.skip(f"{algorithm} cannot be mapped by {mapping}")
    whole, first = (Training(algorithm, "cuda", mapping) for _ in range(2))
    losses = whole.losses(4)
    assert first.losses(2) == losses[:2]
    path = tmp_path / "c.safetensors"
    save(path, first.state, first.learner.network, {})
    second = Training(algorithm, "cuda", mapping)
    load(path).restore(second.state)
    assert second.losses(2) == losses[2:]
    for name, tensor in whole.state.meta.params.items():
        assert torch.equal(tensor, second.state.meta.params[name]), name
    for name, tensor in whole.state.meta.state.items():
        assert torch.equal(tensor, second.state.meta.state[name]), name


class Reader(torch.nn.Module):
    """Reads sequences (n, H, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = torch.nn.GRU(3, 4, batch_first=True)

    def forward(self, inputs):
        return self.memory(inputs)[0][:, -1]


def test_a_recurrent_network_is_differentiated_twice() -> None:
    """cuDNN's cannot be, and warn of weights that a functional call hands in."""
    torch.manual_seed(0)
    network, inputs, found = Reader().double(), torch.randn(2, 5, 3).double(), {}
    for device in ("cpu", "cuda"):
        network = network.to(device)
        params = {n: p.detach().requires_grad_() for n, p in network.named_parameters()}

        given = inputs.to(device)

        def loss(params, network=network, given=given):
            return apply(network, params, given).square().sum(), {}

        first, _ = gradient(loss, params, second_order=True)
        length = sum(each.square().sum() for each in first.values())
        second = torch.autograd.grad(length, tuple(params.values()))
        found[device] = torch.cat([each.flatten().cpu() for each in second])
    torch.testing.assert_close(found["cuda"], found["cpu"])
    assert torch.backends.cudnn.enabled
