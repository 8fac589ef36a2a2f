"""What a GPU computes in: IEEE float32, TF32, or bfloat16 where it is asked for.

`pytest -m cuda` runs these, and they skip where there is no GPU.
"""

from dataclasses import replace

import pytest
import torch
from gpus import OF_SAMPLES, Training, difference, flat

from metapipe import Step, UnsupportedError
from metapipe.numerics import LocalTaskMap, apply
from metapipe.training.exactness import LEAST, require_exact
from metapipe.training.trial import able

pytestmark = pytest.mark.cuda
DEVICE = "cuda"
WIDE = {"model": {"width": 32, "blocks": 2}}
"""As many channels as tensor cores want."""


def prepared(algorithm: str, precision: str, mapping: str = "loop") -> Training:
    training = Training(algorithm, DEVICE, mapping, WIDE)
    training.learner = replace(training.learner, precision=precision)
    return training


def cosine(one: Step, other: Step) -> float:
    first, second = flat(one.gradients), flat(other.gradients)
    return float(torch.cosine_similarity(first, second, dim=0))


@pytest.mark.parametrize("algorithm", ["maml", "protonet", "r2d2"])
@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
@pytest.mark.parametrize("mapping", ["loop", "vmap"])
def test_a_precision_is_earned_or_refused_in_a_line(
    algorithm, precision, mapping
) -> None:
    exact = prepared(algorithm, "float32").step(mapping)
    training = prepared(algorithm, precision, mapping)
    found = training.step(mapping)
    assert all(gradient.dtype == torch.float32 for gradient in found.gradients.values())
    if precision == "bfloat16":
        assert difference(exact, found) > 1e-4, "it is silently off"
    if cosine(exact, found) > LEAST + 0.002:
        require_exact(training.learner, training.state, training.draw)
        assert len(training.losses(2)) == 2
    elif cosine(exact, found) < LEAST - 0.002:
        with pytest.raises(UnsupportedError, match=f"run.precision = '{precision}'"):
            require_exact(training.learner, training.state, training.draw)


@pytest.mark.parametrize("algorithm", OF_SAMPLES)
def test_every_method_can_compute_in_every_precision(algorithm) -> None:
    """By the task maps by which it can in float32: no type is at odds with another."""
    exact = Training(algorithm, DEVICE)
    (episodes,) = exact.draw(0)
    for mapping in map(LocalTaskMap, ("loop", "vmap")):
        if not able(exact.learner, exact.meta, episodes, mapping):
            assert mapping.mode == "vmap"
            continue
        for precision in ("tf32", "bfloat16"):
            learner = replace(exact.learner, precision=precision)
            assert able(learner, exact.meta, episodes, mapping), (precision, mapping)


LAYERS = {
    "convolution": (torch.nn.Conv2d(128, 128, 3, padding=1), (64, 128, 14, 14)),
    "product": (torch.nn.Linear(1024, 1024), (1024, 1024)),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_float32_is_ieee_and_tf32_is_not(layer) -> None:
    training, (network, shape) = prepared("protonet", "float32"), LAYERS[layer]
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = network.double()(inputs.double())
    network, errors = network.float().to(DEVICE), {}
    params = {name: p.detach() for name, p in network.named_parameters()}
    for precision in ("float32", "tf32"):
        learner = replace(training.learner, precision=precision)
        with torch.no_grad(), learner.computing():
            outputs = apply(network, params, inputs.to(DEVICE))
        errors[precision] = float((outputs.double().cpu() - wanted).abs().max())
    assert errors["float32"] < 5e-5
    assert errors["tf32"] > 2e-4
