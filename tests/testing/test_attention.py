"""A transformer of torch's own layers: attention is computed by its definition, and no
task map is used that loses derivatives through its normalisation."""

import pytest
import torch
from torch import nn

from metapipe import Episodes, Model, Problem, Samples
from metapipe.numerics import LayerNorm, LocalTaskMap
from metapipe.testing import ModelContract, blobs
from metapipe.training.learner import build_learner
from metapipe.training.trial import able
from metapipe_plugins.algorithms.maml import MAML

PROBLEM = Problem("classification", (12,), 3)


class Tokens(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3, width)

    def forward(self, x):
        return self.linear(x.reshape(len(x), 4, 3))


class Mean(nn.Module):
    def forward(self, x):
        return x.mean(1)


class Transformer(Model):
    """Four tokens of three numbers."""

    plain: bool = True
    """Torch's own layers of normalisation, and not ours."""

    def build(self, shape, outputs, statistics) -> nn.Module:
        """(n, 12) -> (n, outputs)."""
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        if not self.plain:
            layer.norm1, layer.norm2 = LayerNorm(8), LayerNorm(8)
        encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        network = nn.Sequential(nn.Flatten(), Tokens(8), encoder, Mean())
        if outputs is not None:
            network.add_module("head", nn.Linear(8, outputs))
        return network


@pytest.fixture
def fused_attention():
    """As torch has it before anybody asked for the plain one."""
    kernels = ("flash", "mem_efficient", "math")
    backends = torch.backends.cuda
    before = {k: getattr(backends, f"{k}_sdp_enabled")() for k in kernels}
    for k in kernels:
        getattr(backends, f"enable_{k}_sdp")(True)
    yield
    for k, value in before.items():
        getattr(backends, f"enable_{k}_sdp")(value)


def test_a_transformer_has_its_second_derivative(fused_attention) -> None:
    """And what is wrong with it is said: torch's LayerNorm under vmap."""
    contract = ModelContract()
    contract.model, contract.shape = Transformer(), (12,)
    with pytest.raises(AssertionError, match=r"norm1\.weight.*metapipe's BatchNorm or"):
        contract.test_second_derivatives_do_not_depend_on_the_mapping()
    contract.model = Transformer(plain=False)
    contract.test_second_derivatives_do_not_depend_on_the_mapping()


def test_a_training_is_not_mapped_by_what_loses_its_derivatives(tmp_path) -> None:
    """With torch's own layers by loop or threads; with ours by anything."""
    for plain, able_by_vmap in ((True, False), (False, True)):
        learner, meta = build_learner(
            MAML(), Transformer(plain=plain), PROBLEM, "cpu", 0
        )
        episodes = blobs(shape=(12,), ways=3)
        episodes = Episodes(
            episodes.tasks,
            *(Samples(s.inputs.float(), s.targets) for s in episodes[1:3]),
        )
        assert able(learner, meta, episodes, LocalTaskMap("loop"))
        assert able(learner, meta, episodes, LocalTaskMap("vmap")) == able_by_vmap
