"""BOIL beside MAML: the body of one, the head of the initialisation."""

import pytest
import torch

from metapipe import Problem, Samples, UnsupportedError
from metapipe.testing import AlgorithmContract, TinyModel, blobs
from metapipe_plugins.algorithms.boil import BOIL
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.models.identity import Identity

PROBLEM = Problem("classification", (6,), 3)


class TestBOIL(AlgorithmContract):
    algorithm = BOIL(inner_lr=0.1)


class TestFirstOrderBOIL(AlgorithmContract):
    algorithm = BOIL(inner_lr=0.1, inner_steps=2, first_order=True)
    exact_gradient = False  # that is its point


def test_a_step_is_mamls_below_the_head_and_none_in_it() -> None:
    torch.manual_seed(0)
    network = BOIL().build(TinyModel(), PROBLEM).double()
    meta = BOIL().init(network)
    support = Samples(*(t[0] for t in blobs().support))
    got = BOIL().adapt(network, meta, support, 3)
    want = MAML().adapt(network, meta, support, 3)
    for name, p in meta.params.items():
        if name.startswith("head."):
            assert torch.equal(got[name], p)
            assert not torch.equal(want[name], p)
        else:
            assert torch.equal(got[name], want[name])
            assert not torch.equal(got[name], p)


def test_a_model_that_is_a_head_alone_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="below the model's head"):
        BOIL().build(Identity(), PROBLEM)
