"""The published contracts over our own algorithms and models."""

from metapipe.testing import AlgorithmContract, ModelContract
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
