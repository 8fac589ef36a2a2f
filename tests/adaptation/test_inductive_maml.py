"""An adapted MAML that carries its support set's statistics, and not the set."""

import pytest
import torch
from safetensors import safe_open

from metapipe import Problem, Samples
from metapipe.adaptation.adapted_file import load, save
from metapipe.adaptation.adapted_model import ModelOrigin, adapt
from metapipe.adaptation.export import export_onnx, export_program
from metapipe.experiment.registry import load as load_registry
from metapipe.training.learner import build_learner
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.models.conv4 import Conv4

SHAPE = (1, 8, 8)


@pytest.fixture(params=[True, False], ids=["scale", "shift"])
def adapted(request):
    """Untrained, and adapted to three classes of four images of noise each."""
    algorithm = MAML(statistics="support", inner_lr=0.1)
    model = Conv4(width=8, blocks=2, scale=request.param)
    problem = Problem("classification", SHAPE, 3, 3)
    learner, meta = build_learner(algorithm, model, problem, "cpu", 0)
    settings = {"algorithm": algorithm.model_dump(), "model": model.model_dump()}
    origin = ModelOrigin("maml", "conv4", settings, "run 0", {})
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(12, *SHAPE, generator=generator)
    support = Samples(inputs, torch.arange(3).repeat_interleave(4))
    return adapt(learner, meta, support, ["a", "b", "c"], None, origin)


def test_its_file_needs_no_support_set(adapted, tmp_path):
    path = tmp_path / "x.metapipe"
    save(adapted, path)
    with safe_open(path, framework="pt") as file:
        names = set(file.keys())
    assert "support" not in names
    assert "adapted/statistics.block1.norm.mean" in names
    again = load(path, load_registry(), "cpu")
    assert not again.learner.normalises_batches
    assert not again.learner.transductive("together")
    inputs = torch.rand(5, *SHAPE)
    wanted = adapted.probabilities(inputs)
    assert torch.equal(again.probabilities(inputs), wanted)
    alone = torch.cat([again.probabilities(one[None]) for one in inputs])
    torch.testing.assert_close(alone, wanted)


def test_it_is_exported(adapted, tmp_path):
    assert export_program(adapted, tmp_path / "x.pt2").difference < 1e-5
    pytest.importorskip("onnxruntime", reason="the extra metapipe[onnx]")
    pytest.importorskip("onnxscript", reason="the extra metapipe[onnx]")
    assert export_onnx(adapted, tmp_path / "x.onnx").difference < 1e-5
