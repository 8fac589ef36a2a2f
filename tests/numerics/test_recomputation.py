"""Inner steps computed again: the same gradient, and no graph of theirs is kept."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from measured import Living

from metapipe import Meta, UnsupportedError
from metapipe.errors import PluginError
from metapipe.numerics import BatchNorm, apply, computing_in, inner_loop, recomputing
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.testing.toys import blobs
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.models.conv4 import Conv4

LOOP, THREADS = LocalTaskMap("loop"), LocalTaskMap("threads", 2)
SHAPE = (1, 12, 12)


def convolutions():
    torch.manual_seed(1)
    model = Conv4(width=4, blocks=2, pooling="max", scale=True)
    return model.build(SHAPE, 3, "batch").double()


def meta_gradient(steps, recompute, task_map=LOOP):
    network, episodes = convolutions(), blobs(shape=SHAPE)
    maml = MAML(inner_steps=steps, adapt_normalisation=True)
    with recomputing(recompute) as found:
        step = maml.meta_gradient(network, Meta.of(network), episodes, task_map)
    return step.gradients, found.steps, len(episodes.tasks)


def require_same_bits(one, other):
    assert list(one) == list(other)
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@pytest.mark.parametrize("task_map", [LOOP, THREADS], ids=str)
def test_the_gradient_has_the_same_bits(task_map):
    plain, none, _ = meta_gradient(3, False, task_map)
    found, steps, tasks = meta_gradient(3, True, task_map)
    require_same_bits(found, plain)
    assert (none, steps) == (0, 3 * tasks)


def test_under_vmap_it_is_refused():
    for task_map in (LocalTaskMap("vmap"), LocalTaskMap("chunks", 2)):
        with pytest.raises(UnsupportedError, match="not computed again under vmap"):
            meta_gradient(2, True, task_map)


def test_a_step_keeps_its_parameters_alone():
    """What four more steps add to the most that is alive at once."""
    bytes_each = sum(p.nbytes for p in convolutions().parameters())

    def most(steps, recompute):
        with Living() as living:
            meta_gradient(steps, recompute)
        return living.most

    added = (most(6, True) - most(2, True)) / 4
    assert 0.9 * bytes_each < added < 1.1 * bytes_each
    assert (most(6, False) - most(2, False)) / 4 > 10 * bytes_each


def descended(loss, weight, recompute, steps=3):
    with recomputing(recompute):
        return inner_loop(loss, {"w": weight}, lr=0.1, steps=steps, second_order=True)


def test_it_can_be_differentiated_again_and_twice():
    """A graph that is kept is gone through twice, and a third derivative is right."""
    weight = torch.linspace(-1, 1, 5, dtype=torch.float64, requires_grad=True)
    scale = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    found = []
    for recompute in (False, True):
        moved = descended(
            lambda p: ((scale * p["w"]).sin().square().sum(), {}), weight, recompute
        )["w"]
        value = moved.cos().sum()
        first = torch.autograd.grad(value, (weight, scale), create_graph=True)
        second = torch.autograd.grad(
            sum(g.square().sum() for g in first), weight, retain_graph=True
        )
        again = torch.autograd.grad(value, (weight, scale))
        found.append(dict(enumerate((*first, *second, *again))))
    require_same_bits(*found)


def test_the_gradient_may_come_by_in_another_thread():
    """As on a GPU, where torch has one for that; it has the precision of the first."""
    network = torch.nn.Linear(6, 3)
    inputs = torch.randn(4, 6)
    found = []
    for recompute in (False, True):
        weight = network.weight.detach().requires_grad_()

        def loss(params):
            outputs = apply(network, {"weight": params["w"]}, inputs)
            return outputs.square().sum(), {}

        with computing_in("bfloat16"):
            value = descended(loss, weight, recompute)["w"].square().sum()
        with ThreadPoolExecutor(1) as pool:
            gradient = pool.submit(torch.autograd.grad, value, weight).result()
        found.append(dict(enumerate(gradient)))
    require_same_bits(*found)


def test_random_numbers_are_drawn_once():
    """The same masks the second time, and the generator goes on as if it had not been
    asked again."""
    weight = torch.linspace(-1, 1, 50, requires_grad=True)

    def loss(params):
        return torch.dropout(params["w"].exp(), 0.5, True).square().sum(), {}

    found = []
    for recompute in (False, True):
        torch.manual_seed(3)
        value = descended(loss, weight, recompute)["w"].square().sum()
        gradient = torch.autograd.grad(value, weight)[0]
        found.append({"gradient": gradient, "next": torch.rand(1)})
    require_same_bits(*found)

    def noisy(params, support, query):
        return descended(loss, params["w"], True)["w"].sum(), {}

    with pytest.raises(UnsupportedError, match=r"draw random numbers .* in threads"):
        THREADS.gradient(noisy, {"w": weight}, blobs())


def test_running_statistics_move_once():
    layer = BatchNorm(3, "running", scale=True).double()
    inputs = torch.rand(8, 3, generator=torch.Generator().manual_seed(0)).double()
    found = []
    for recompute in (False, True):
        meta = Meta.of(layer)
        state = {name: value.clone() for name, value in meta.state.items()}
        weight = meta.params["weight"].requires_grad_()

        def loss(params, bias=meta.params["bias"], state=state):
            params = {"weight": params["w"], "bias": bias}
            outputs = apply(layer, params, inputs, state=state, training=True)
            return outputs.exp().sum(), {}

        value = descended(loss, weight, recompute)["w"].square().sum()
        found.append({**state, "gradient": torch.autograd.grad(value, weight)[0]})
    require_same_bits(*found)
    assert int(found[1]["num_batches_tracked"]) == 3


def test_what_is_another_function_the_second_time_is_told():
    calls = []

    def loss(params):
        calls.append(1)
        values = params["w"].sin()
        return (values if len(calls) == 1 else values.cos().exp()).sum(), {}

    weight = torch.ones(2, requires_grad=True)
    value = descended(loss, weight, True, steps=1)["w"].sum()
    with pytest.raises(PluginError, match="when it was computed again"):
        value.backward()
