"""Ways to execute a meta-gradient: which can be, which is fastest, and that torch goes
through our networks in one piece."""

import itertools
import sys
import time
from dataclasses import replace

import pytest
import torch
from gpus import Training
from torch.func import functional_call

from metapipe import UnsupportedError, UsageError
from metapipe.numerics import LocalTaskMap
from metapipe.training import device, execution_choice
from metapipe.training.device import require_execution
from metapipe.training.execution import executing
from metapipe.training.execution_choice import fastest_execution, possible
from metapipe_plugins.models.conv4 import Conv4
from metapipe_plugins.models.resnet12 import ResNet12


def learner(mapping="loop", **changes):
    found = Training("protonet", "cpu").learner
    return replace(found, mapping=LocalTaskMap.parse(mapping), **changes)


@pytest.mark.parametrize(
    ("changes", "maps", "names"),
    [
        ({}, False, "eager compile"),
        ({}, True, "eager"),
        ({"precision": "bfloat16"}, False, "eager"),
        ({"device": "cuda"}, True, "eager graph"),
        ({"device": "cuda:1"}, False, "eager graph compile"),
        ({"device": "cuda", "recompute": True}, True, "eager"),
        ({"device": "cuda", "mapping": "threads:2"}, True, "eager"),
        ({"device": "mps"}, False, "eager compile"),
    ],
)
def test_only_what_can_be_is_tried(monkeypatch, changes, maps, names) -> None:
    monkeypatch.setenv("CXX", sys.executable)  # as if they were
    monkeypatch.setattr(device, "find_spec", lambda name: name)
    assert " ".join(possible(learner(**changes), maps)) == names


def test_graphs_want_a_gpu() -> None:
    said = "CUDA graphs want an NVIDIA GPU, and this computes on cpu; use eager"
    with pytest.raises(UsageError, match=said):
        executing(learner().executed_by("graph"))
    require_execution("graph", "cuda:1")


@pytest.mark.parametrize("where", ["cpu", "cuda"])
def test_compiling_wants_a_compiler(monkeypatch, where) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(device, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"'compile': there is no .*; use eager"):
        require_execution("compile", where)
    assert possible(learner(device=where), maps=False)[-1] != "compile"


def test_the_fastest_of_those_that_are_the_same_is_taken(monkeypatch) -> None:
    training, seconds = Training("protonet", "cpu"), {"eager": 0.02, "compile": 0.01}

    def ready(chosen, state, draw):
        if chosen.execution == "graph":
            raise UnsupportedError("it is not the same")
        return lambda *_: time.sleep(seconds[chosen.execution])

    monkeypatch.setattr(execution_choice, "required_same", ready)
    names = ["eager", "graph", "compile"]
    given = training.learner, training.state, training.draw, names
    assert fastest_execution(*given) == "compile"
    seconds["compile"] = 0.04
    assert fastest_execution(*given) == "eager"


NETWORKS = {
    "strided": Conv4(width=4, blocks=2),
    "pooled": Conv4(width=32, blocks=2, pooling="max", features="flatten", scale=True),
    "groups": Conv4(width=8, blocks=2, norm="group"),
    "residual": ResNet12(widths=(2, 2, 2, 2)),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("statistics", ["batch", "running"])
def test_torch_goes_through_a_network_in_one_piece(name, statistics) -> None:
    """`fullgraph` raises where it does not."""
    network = NETWORKS[name].build((3, 16, 16), None, statistics)
    held = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    inputs, pieces = torch.randn(4, 3, 16, 16), itertools.count()

    def backend(graph, _):
        next(pieces)
        return graph.forward

    call = torch.compile(
        lambda held, inputs: functional_call(network, held, (inputs,)),
        backend=backend,
        fullgraph=True,
    )
    copies = [{k: t.detach().clone() for k, t in held.items()} for _ in range(2)]
    torch.manual_seed(0)
    found = call(copies[0], inputs)
    torch.manual_seed(0)
    wanted = functional_call(network, copies[1], (inputs,))
    torch.testing.assert_close(found, wanted)
    for key, value in copies[1].items():
        torch.testing.assert_close(copies[0][key], value)
    assert next(pieces) == 1
