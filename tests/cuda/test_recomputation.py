"""Inner steps computed again on a GPU, where the gradient comes by in another thread.

`pytest -m cuda` runs these, and they skip where there is no GPU.
"""

import pytest
from gpus import Training, difference

from metapipe.numerics.meter import meter_of

pytestmark = pytest.mark.cuda
DEVICE = "cuda"


def training(algorithm, recompute, steps=3, precision="float32"):
    more = {
        "run": {"precision": precision},
        "training": {"recompute": recompute},
        "algorithm": {"inner_steps": steps} if algorithm != "meta-sgd" else {},
    }
    return Training(algorithm, DEVICE, more=more)


@pytest.mark.parametrize("algorithm", ["maml", "maml++", "anil", "cavia", "meta-sgd"])
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_the_gradient_is_the_same(algorithm, precision) -> None:
    plain, again = (
        training(algorithm, recompute, precision=precision).step("loop")
        for recompute in (False, True)
    )
    assert difference(plain, again) < 1e-6
    assert again.metrics["loss"].tolist() == plain.metrics["loss"].tolist()


def test_memory_grows_by_little() -> None:
    """Eight more steps, of tasks one after the other."""
    grown = {}
    for recompute in (False, True):
        most = []
        for steps in (2, 10):
            learning, meter = training("maml", recompute, steps), meter_of(DEVICE)
            learning.step("loop")
            before = meter.begin()
            learning.step("loop")
            most.append(meter.most() - before)
        grown[recompute] = most[1] - most[0]
    assert grown[True] < grown[False] / 3
