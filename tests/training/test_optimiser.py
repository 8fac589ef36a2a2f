"""The outer optimisers are torch's, bit for bit, and leave its compiler alone."""

import subprocess
import sys
from itertools import pairwise

import pytest
import torch

from metapipe.algorithm import Group
from metapipe.training.optimiser import optimiser
from metapipe.training_settings import TrainingSettings

GROUPS = (Group("steps.", rate=2.0, decays=False),)
SETTINGS = {"lr": 0.1, "weight_decay": 0.01}
THEIRS = {
    "adam": lambda groups: torch.optim.Adam(groups, **SETTINGS),
    "adamw": lambda groups: torch.optim.AdamW(groups, **SETTINGS),
    "sgd": lambda groups: torch.optim.SGD(
        groups, momentum=0.9, nesterov=True, **SETTINGS
    ),
}


def parameters() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"weight": (5, 3), "bias": (5,), "steps.weight": (7,)}
    return {
        name: torch.randn(shape, generator=generator).requires_grad_()
        for name, shape in shapes.items()
    }


def descend(chosen: torch.optim.Optimizer, params: dict[str, torch.Tensor]) -> None:
    """Ten steps, each of another size."""
    generator = torch.Generator().manual_seed(1)
    for step in range(10):
        for group in chosen.param_groups:
            group["lr"] = 0.1 / (1 + step)
        for p in params.values():
            p.grad = torch.randn(p.shape, generator=generator)
        chosen.step()
        chosen.zero_grad()
        assert all(p.grad is None for p in params.values())


@pytest.mark.parametrize("name", THEIRS)
def test_bits_and_state_are_those_of_torch(name: str) -> None:
    settings = TrainingSettings(optimiser=name, momentum=0.9, **SETTINGS)
    mine, reference = parameters(), parameters()
    ours = optimiser(mine, settings, GROUPS)
    rest = {"params": [reference["weight"], reference["bias"]], "rate": 1.0}
    free = {"params": [reference["steps.weight"]], "weight_decay": 0.0, "rate": 2.0}
    theirs = THEIRS[name]([rest, free])
    assert isinstance(ours, type(theirs))
    descend(ours, mine)
    descend(theirs, reference)
    for key, p in mine.items():
        assert torch.equal(p, reference[key])
    assert same(ours.state_dict(), theirs.state_dict())
    again = optimiser(parameters(), settings, GROUPS)
    again.load_state_dict(theirs.state_dict())
    assert same(again.state_dict(), theirs.state_dict())


def same(one: object, other: object) -> bool:
    """Equal to the bit, whatever the nesting."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return all(same(a, b) for a, b in zip(one, other, strict=True))
    return one == other


def test_hooks_of_a_step_are_called() -> None:
    params, calls = parameters(), []
    ours = optimiser(params, TrainingSettings())
    ours.register_step_pre_hook(lambda *_: calls.append("before"))
    ours.register_step_post_hook(lambda *_: calls.append("after"))
    descend(ours, params)
    assert len(calls) == 20
    assert all(a != b for a, b in pairwise(calls))


PROGRAM = """
import sys
sys.path[:0] = {path!r}
import test_optimiser as t
import torch
for name in t.THEIRS:
    params = t.parameters()
    ours = t.optimiser(params, t.TrainingSettings(optimiser=name))
    t.descend(ours, params)
    ours.load_state_dict(ours.state_dict())
assert not {{"torch._dynamo", "sympy"}} & set(sys.modules), "slow to start"

# who compiles finds torch's compiler and optimisers as ever
p = torch.ones(3, requires_grad=True)
theirs = torch.optim.Adam([p])
double = torch.compile(lambda x: 2 * x, backend="eager", fullgraph=True)
double(p).sum().backward()
theirs.step()
assert "torch._dynamo" in sys.modules
assert torch.equal(double(torch.ones(2)), torch.full((2,), 2.0))
"""


def test_only_who_compiles_imports_the_compiler() -> None:
    folder = __file__.rpartition("/")[0]
    program = PROGRAM.format(path=[folder])
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)
