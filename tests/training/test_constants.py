"""What a network holds beside what is learned: frozen weights travel in every file."""

from pathlib import Path

import pytest
import torch
from commands import metapipe_json
from torch import nn

from metapipe import Meta, Model, Problem, Samples
from metapipe.adaptation.adapted_file import load as load_adapted
from metapipe.adaptation.adapted_file import save as save_adapted
from metapipe.adaptation.trained_run import open_run
from metapipe.errors import CheckpointError
from metapipe.experiment.registry import load as load_plugins
from metapipe.store import TaskStore, default_url
from metapipe.testing import blobs
from metapipe.training.checkpoint import load, save
from metapipe.training.learner import Learner, build_learner, constants_of
from metapipe.training.loop import initial_state
from metapipe.training.stored_learner import open_learner
from metapipe.training_settings import TrainingSettings
from metapipe_plugins.algorithms.protonet import ProtoNet

FROZEN = '''
"""A random layer that is never trained, below one that is."""

import math

from torch import nn

from metapipe import Model, hookimpl


class Frozen(Model):
    """Random features."""

    def build(self, shape, outputs, statistics):
        """(n, *shape) -> (n, outputs), or features (n, 16)."""
        below = nn.Linear(math.prod(shape), 16).requires_grad_(False)
        layers = {"flatten": nn.Flatten(), "below": below, "above": nn.Linear(16, 16)}
        network = nn.Sequential()
        for name, layer in layers.items():
            network.add_module(name, layer)
        if outputs is not None:
            network.add_module("head", nn.Linear(16, outputs))
        return network


@hookimpl
def register_models(register):
    """Offer it."""
    register("frozen", Frozen)
'''


class HalfFrozen(Model):
    """Two layers, the lower one random for ever."""

    wide: int = 8
    frozen: bool = True

    def build(self, shape, outputs, statistics):
        below = nn.Linear(6, self.wide).requires_grad_(not self.frozen)
        return nn.Sequential(below, nn.Linear(self.wide, 4))


PROBLEM = Problem("classification", (6,), 3)


def written(folder: Path, model: Model) -> tuple[Learner, Path]:
    learner, meta = build_learner(ProtoNet(), model, PROBLEM, "cpu", seed=0)
    path = folder / "c"
    save(path, initial_state(meta, TrainingSettings()), learner.network, {})
    return learner, path


def test_a_checkpoint_has_them(tmp_path: Path) -> None:
    ours, path = written(tmp_path, HalfFrozen())
    assert set(constants_of(ours.network, Meta.of(ours.network))) == {
        "0.weight",
        "0.bias",
    }
    other, meta = open_learner(
        ProtoNet(), HalfFrozen(), PROBLEM, "cpu", load(path).file
    )
    assert {n: p.requires_grad for n, p in other.network.named_parameters()} == {
        n: p.requires_grad for n, p in ours.network.named_parameters()
    }
    inputs = blobs().query.inputs[0].float()
    found = torch.func.functional_call(other.network, meta.params, (inputs,))
    assert torch.equal(found, ours.network(inputs))


def test_those_of_another_network_are_refused(tmp_path: Path) -> None:
    _, path = written(tmp_path, HalfFrozen())
    file = load(path).file
    for model, reason in (
        (HalfFrozen(frozen=False), "its constants/0.bias has no place there"),
        (HalfFrozen(wide=9), r"its constants/0.bias is \(8,\), there it is \(9,\)"),
    ):
        with pytest.raises(CheckpointError, match=f"c does not fit .*{reason}"):
            open_learner(ProtoNet(), model, PROBLEM, "cpu", file)


def test_an_adapted_model_predicts_the_same_after_loading(tmp_path: Path) -> None:
    path = tmp_path / "frozen.py"
    path.write_text(FROZEN)
    metapipe_json(
        *("--plugin-path", str(path), "train", "--plugin", "protonet"),
        *("--model", "frozen", "--dataset", "digits", "--seed", "5"),
        *("--iterations", "3", "--validate-every", "0"),
        *("-s", "evaluation.episodes=4"),
        cwd=tmp_path,
    )
    registry = load_plugins((path,))
    with TaskStore.open(default_url(tmp_path)) as store:
        trained = open_run(store, registry, "latest")
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(20, 1, 8, 8, generator=generator)
    support = Samples(inputs[:10], torch.arange(5).repeat(2))
    adapted = trained.adapt(support, list("abcde"))
    save_adapted(adapted, tmp_path / "a.metapipe")
    again = load_adapted(tmp_path / "a.metapipe", registry, "cpu")
    assert torch.equal(adapted.outputs(inputs), again.outputs(inputs))


def test_moments_of_scalars_stay_on_their_device(tmp_path: Path) -> None:
    """Seen on torch's `meta` device: a scalar parameter's moments went to the CPU,
    where only Adam's step counter belongs."""
    meta = Meta({"scale": torch.ones(()), "w": torch.ones(3)})
    for optimiser in ("adam", "sgd"):
        network = nn.Identity()
        settings = TrainingSettings(optimiser=optimiser, momentum=0.9)
        state = initial_state(meta, settings)
        for p in state.meta.params.values():
            p.grad = torch.ones_like(p)
        state.optimiser.step()
        save(tmp_path / optimiser, state, network, {})
        moved = Meta({k: p.to("meta") for k, p in meta.params.items()})
        other = initial_state(moved, settings)
        load(tmp_path / optimiser).restore(other)
        for values in other.optimiser.state.values():
            for key, value in values.items():
                assert value.device.type == ("cpu" if key == "step" else "meta"), key
