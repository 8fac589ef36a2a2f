"""A learner out of a file: structure without values, then the file's and no others."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from metapipe import Model, Problem
from metapipe.errors import CheckpointError, PluginError
from metapipe.training.checkpoint import load, save
from metapipe.training.learner import build_learner
from metapipe.training.loop import initial_state
from metapipe.training.stored_learner import open_learner
from metapipe.training_settings import TrainingSettings
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.algorithms.protonet import ProtoNet
from metapipe_plugins.models.mlp import MLP

PROBLEM = Problem("classification", (6,), 3)
FILES = Path(__file__).parents[1] / "files"


class Odd(Model):
    """A network of two layers, and something that not every network has."""

    what: str = ""

    def build(self, shape, outputs, statistics):
        network = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
        if self.what == "tied":
            network[1].weight = network[0].weight
        elif self.what == "tensor":
            network[1].mask = torch.ones(6)
        elif self.what == "list of tensors":
            network[1].masks = [{"first": torch.ones(6)}]
        elif self.what == "own buffer":
            network.register_buffer("scale", torch.ones(()), persistent=False)
        elif self.what == "asks for values":
            network.rates = [rate.item() for rate in torch.linspace(0, 1, 3)]
        elif self.what == "normalised":
            nn.utils.parametrizations.weight_norm(network[1])
        return network


class Recurrent(Model):
    """Torch's own LSTM keeps its parameters in a list as well."""

    def build(self, shape, outputs, statistics):
        return nn.Sequential(nn.LSTM(6, 4), Last())


class Last(nn.Module):
    def forward(self, found):
        return found[0]


def written(folder: Path, model: Model, algorithm=None):
    """A learner, and the file of its checkpoint."""
    learner, meta = build_learner(algorithm or ProtoNet(), model, PROBLEM, "cpu", 3)
    path = folder / "c"
    save(path, initial_state(meta, TrainingSettings()), learner.network, {})
    return learner, load(path).file


MODELS = [Odd(), *(Odd(what=w) for w in ("tied", "own buffer", "normalised"))]


@pytest.mark.parametrize("model", [*MODELS, Recurrent()], ids=repr)
def test_every_value_is_the_files(tmp_path: Path, model: Model) -> None:
    ours, file = written(tmp_path, model)
    before = torch.get_rng_state()
    opened, meta = open_learner(ProtoNet(), model, PROBLEM, "cpu", file)
    assert torch.equal(torch.get_rng_state(), before)
    wanted = {**ours.network.state_dict(), **dict(ours.network.named_buffers())}
    found = {**opened.network.state_dict(), **dict(opened.network.named_buffers())}
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        assert torch.equal(found[name], value)
    assert len(list(opened.network.parameters())) == len(
        list(ours.network.parameters())
    )
    inputs = torch.rand(2, 6)
    assert torch.equal(opened.network(inputs), ours.network(inputs))
    assert not any(p.requires_grad for p in meta.params.values())


@pytest.mark.parametrize("what", ["tensor", "list of tensors"])
def test_tensors_that_no_file_holds_are_refused_at_once(tmp_path: Path, what) -> None:
    with pytest.raises(PluginError, match=r"Linear has a tensor .* 1\.masks?: make it"):
        build_learner(ProtoNet(), Odd(what=what), PROBLEM, "cpu", 0)
    _, file = written(tmp_path, Odd())
    with pytest.raises(PluginError, match="a tensor that no file holds"):
        open_learner(ProtoNet(), Odd(what=what), PROBLEM, "cpu", file)


def test_a_structure_that_needs_values_is_refused(tmp_path: Path) -> None:
    _, file = written(tmp_path, Odd())
    with pytest.raises(CheckpointError, match="cannot be built without values"):
        open_learner(ProtoNet(), Odd(what="asks for values"), PROBLEM, "cpu", file)


def test_names_shapes_and_kinds_must_fit(tmp_path: Path) -> None:
    _, file = written(tmp_path, MLP(layers=(4,)), MAML())
    args = (PROBLEM, "cpu")

    def refused(algorithm, model, reason) -> None:
        with pytest.raises(CheckpointError, match=f"c does not fit .*: {reason}"):
            open_learner(algorithm, model, *args, file)

    refused(MAML(), MLP(layers=(5,)), r"its params/head.weight is \(3, 4\), there it")
    refused(MAML(), MLP(layers=(4, 4)), "it lacks params/linear2.bias")
    refused(ProtoNet(), MLP(layers=(4,)), "its params/head.bias has no place there")
    tensors = dict(file.tensors)
    tensors["params/head.bias"] = torch.zeros(3, dtype=torch.int64)
    object.__setattr__(file, "tensors", tensors)
    refused(MAML(), MLP(layers=(4,)), "its params/head.bias is torch.int64, there")


@pytest.mark.parametrize("algorithm", [MAML(), ProtoNet()], ids=["maml", "protonet"])
@pytest.mark.parametrize("wide", [20_000, 10**7, 10**12])
def test_a_great_network_is_refused_before_it_takes_memory(
    tmp_path: Path, algorithm, wide
) -> None:
    """Of 1.6 GB, 400 TB, and of more elements than there are numbers; also by methods
    that try what features it gives."""
    _, file = written(tmp_path, MLP(layers=(4,)), algorithm)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError) as caught:
        open_learner(algorithm, MLP(layers=(wide, wide)), PROBLEM, "cpu", file)
    assert "\n" not in str(caught.value)
    assert str(file.path) in str(caught.value)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200_000, "KiB"


def test_opening_does_not_import_torchs_compiler() -> None:
    """Which takes longer than all the rest; each algorithm and model of ours."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN_ALL], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 50


OPEN_ALL = """
import sys
from pathlib import Path
import torch
from metapipe import Problem, UnsupportedError
from metapipe.experiment.registry import load
from metapipe.training.learner import build_learner, constants_of
from metapipe.training.stored_learner import open_learner
from metapipe.training.tensor_file import TensorFile

registry, opened = load(), 0
for kind, settings in {
    "conv4": {"features": "flatten", "normalise": False},
    "mlp": {},
    "ngrams": {"buckets": 16, "width": 4},
    "r2d2net": {"widths": (4, 4)},
    "resnet12": {"widths": (4, 4)},
}.items():
    model = registry.create("model", kind, settings)
    shape = (3, 4) if kind == "ngrams" else (1, 8, 8)
    problem = Problem("classification", shape, 3, 30)
    for name in registry.names("algorithm"):
        args = (registry.create("algorithm", name, {}), model, problem, "cpu")
        try:
            learner, meta = build_learner(*args, 0)
        except UnsupportedError:
            continue
        constants = constants_of(learner.network, meta)
        groups = {"params": meta.params, "state": meta.state, "constants": constants}
        tensors = {f"{g}/{n}": t for g, held in groups.items() for n, t in held.items()}
        file = TensorFile(Path("f"), {"format": 2}, tensors)
        again, _ = open_learner(*args, file)
        found, wanted = again.network.state_dict(), learner.network.state_dict()
        assert list(found) == list(wanted), (name, kind)
        assert all(torch.equal(found[n], wanted[n]) for n in wanted), (name, kind)
        assert "torch._dynamo" not in sys.modules, (name, kind)
        opened += 1
print(opened)
"""


def old(name: str):
    """A file of format 1, written by commit fdfd0bf: protonet, `mlp`, digits."""
    return FILES / name


def test_a_checkpoint_of_format_1_is_read() -> None:
    checkpoint = load(old("format-1.safetensors"))
    problem, model = Problem("classification", (1, 8, 8), 3, 24), MLP(layers=(6,))
    learner, meta = open_learner(ProtoNet(), model, problem, "cpu", checkpoint.file)
    assert checkpoint.step == 5
    sums = {name: float(p.sum()) for name, p in meta.params.items()}
    assert sums == pytest.approx(
        {"linear1.bias": 0.346391886, "linear1.weight": -0.115777969}, rel=1e-5
    )
    for name, p in learner.network.named_parameters():
        assert torch.equal(p, meta.params[name])
    state = initial_state(meta, TrainingSettings(lr=0.01))
    checkpoint.restore(state)
    assert state.step == 5
    assert {len(v) for v in state.optimiser.state.values()} == {3}


def test_one_of_format_1_that_does_not_fit_is_refused_by_name() -> None:
    file = load(old("format-1.safetensors")).file
    problem = Problem("classification", (1, 8, 8), 3, 24)
    with pytest.raises(CheckpointError, match="format 1, written before"):
        open_learner(ProtoNet(), MLP(layers=(7,)), problem, "cpu", file)
