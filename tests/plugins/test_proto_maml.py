"""ProtoMAML: before any step it is a prototypical network, after some it is MAML."""

import torch
import torch.nn.functional as F

from metapipe import Problem, Samples
from metapipe.numerics.functional import apply, gradient
from metapipe.testing import AlgorithmContract, TinyModel, blobs
from metapipe_plugins.algorithms.proto_maml import ProtoMAML
from metapipe_plugins.algorithms.protonet import ProtoNet

PROBLEM = Problem("classification", (6,), 3)


class TestProtoMAML(AlgorithmContract):
    algorithm = ProtoMAML()


class TestFirstOrderProtoMAML(AlgorithmContract):
    algorithm = ProtoMAML(first_order=True, inner_steps=2)
    exact_gradient = False  # that is its point


def learned(algorithm):
    torch.manual_seed(0)
    network = algorithm.build(TinyModel(), PROBLEM).double()
    episode = blobs()
    support, query = (Samples(*(t[0] for t in s)) for s in episode[1:3])
    return network, algorithm.init(network), support, query


def test_without_a_step_it_is_a_prototypical_network() -> None:
    """2 c.x - |c|^2 is -|x - c|^2 but for |x|^2, which all classes share."""
    proto_maml = ProtoMAML(test_steps=0)
    network, meta, support, query = learned(proto_maml)
    adapted = proto_maml.adapt(network, meta, support, 3)
    got = proto_maml.predict(network, meta, adapted, query.inputs).softmax(-1)
    protonet = ProtoNet(statistics="batch")
    adapted = protonet.adapt(network, meta, support, 3)
    want = protonet.predict(network, meta, adapted, query.inputs).softmax(-1)
    torch.testing.assert_close(got, want)


def test_a_step_descends_features_and_head() -> None:
    proto_maml = ProtoMAML(inner_lr=0.3)
    network, meta, support, _ = learned(proto_maml)
    begin = ProtoMAML(test_steps=0).adapt(network, meta, support, 3)
    got = ProtoMAML(inner_lr=0.3, test_steps=1).adapt(network, meta, support, 3)

    def loss(params):
        own = {k: v for k, v in params.items() if not k.startswith("prototype.")}
        features = apply(network, own, support.inputs)
        scores = features @ params["prototype.weight"].mT + params["prototype.bias"]
        return F.cross_entropy(scores, support.targets), {}

    grads, _ = gradient(loss, begin)
    for name, value in begin.items():
        torch.testing.assert_close(got[name], value - 0.3 * grads[name])
