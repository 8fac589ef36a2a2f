"""The published contracts over our own algorithms and models."""

import pytest
from pydantic import model_validator
from torch import nn

from metapipe import Model
from metapipe.testing import AlgorithmContract, ModelContract
from metapipe.testing.variants import variants
from metapipe_plugins.algorithms.imaml import IMAML
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.algorithms.meta_sgd import MetaSGD
from metapipe_plugins.algorithms.protonet import ProtoNet
from metapipe_plugins.models.conv4 import Conv4
from metapipe_plugins.models.mlp import MLP


class TestMAML(AlgorithmContract):
    algorithm = MAML(inner_steps=2)


class TestFirstOrderMAML(AlgorithmContract):
    algorithm = MAML(first_order=True, inner_lr=0.1)  # 0.4 is too bold for it here
    exact_gradient = False  # that is its point


class TestMAMLWithNormalisation(AlgorithmContract):
    algorithm = MAML(inner_lr=0.1)
    model = MLP(layers=(8,), normalise=True)


class TestMetaSGD(AlgorithmContract):
    algorithm = MetaSGD()


class TestProtoNet(AlgorithmContract):
    algorithm = ProtoNet()


class TestProtoNetWithRunningStatistics(AlgorithmContract):
    algorithm = ProtoNet()
    model = MLP(layers=(8,), normalise=True)


class TestConv4(ModelContract):
    model = Conv4(width=8)


class TestPooledConv4(ModelContract):
    model = Conv4(width=8, pooling="max", features="flatten", scale=True)


class TestMLP(ModelContract):
    model = MLP()


class TestNormalisedMLP(ModelContract):
    model = MLP(layers=(16, 8), normalise=True)


class Careless(Model):
    """Built on torch's own layer, as anybody would."""

    layer: str = "BatchNorm1d"
    """Of `torch.nn`."""

    def build(self, shape, outputs, statistics) -> nn.Module:
        """(n, d) -> (n, outputs)."""
        norm = nn.LayerNorm(8)
        if self.layer == "BatchNorm1d":
            norm = nn.BatchNorm1d(8, track_running_stats=statistics == "running")
        return nn.Sequential(
            nn.Linear(shape[0], 8), norm, nn.Tanh(), nn.Linear(8, outputs)
        )


@pytest.mark.parametrize("layer", ["BatchNorm1d", "LayerNorm"])
def test_a_model_with_torchs_own_normalisation_is_refused(layer) -> None:
    contract = ModelContract()
    contract.model, contract.shape = Careless(layer=layer), (6,)
    with pytest.raises(AssertionError, match="scale outside the library call: use"):
        contract.test_second_derivatives_do_not_depend_on_the_mapping()


def test_a_setting_with_which_mappings_disagree_is_named() -> None:
    contract = AlgorithmContract()
    contract.algorithm, contract.model = MAML(), Careless()
    contract.test_the_result_does_not_depend_on_the_mapping()  # as it is they agree
    with pytest.raises(AssertionError, match=r"adapt_normalisation=True.*by vmap"):
        contract.test_other_settings_keep_the_gradient_right()


def test_a_gradient_that_is_exact_needs_no_excuse() -> None:
    contract = AlgorithmContract()
    contract.algorithm, contract.inexact = MAML(first_order=True), {}
    with pytest.raises(AssertionError, match=r"gradient says .*, differences say"):
        contract.test_the_gradient_is_that_of_the_loss()
    contract.algorithm = MAML()
    contract.inexact = {"first_order": True, "inner_loss": "mean"}
    with pytest.raises(AssertionError, match=r"inner_loss=mean.*needs not be"):
        contract.test_other_settings_keep_the_gradient_right()


def test_every_switch_and_choice_is_varied_and_some_must_be_possible() -> None:
    class Stubborn(MAML):
        @model_validator(mode="after")
        def _only_defaults(self) -> "Stubborn":
            if self.model_fields_set and self.model_dump() != MAML().model_dump():
                raise ValueError("no")
            return self

    assert set(variants(MAML(first_order=True))) == {
        "first_order=False",
        "inner_loss=mean",
        "adapt_normalisation=True",
        "curve=True",
        "statistics=support",
    }
    assert set(variants(ProtoNet())) == {"statistics=batch"}
    assert variants(IMAML()) == {}
    with pytest.raises(AssertionError, match=r"can be changed: .*first_order"):
        variants(Stubborn())
