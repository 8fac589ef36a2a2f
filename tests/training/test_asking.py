"""Work that asks something of the CPU in between cannot be recorded."""

import pytest
import torch
from gpus import Training

from metapipe import UnsupportedError
from metapipe.training.asking import asking_nothing
from metapipe.training.execution import meta_step

VALUES = torch.arange(4.0)
ASKING = {
    "_local_scalar_dense": lambda: float(VALUES.sum()),
    "equal": lambda: torch.equal(VALUES, VALUES),
    "nonzero": lambda: VALUES.nonzero(),
    "index": lambda: VALUES[VALUES > 1],
    "_unique2": lambda: VALUES.unique(),
}


@pytest.mark.parametrize("name", ASKING)
def test_the_operation_is_named(name) -> None:
    with (
        pytest.raises(UnsupportedError, match=rf"waits for the CPU .*\({name}\)"),
        asking_nothing(),
    ):
        ASKING[name]()


def test_copies_between_devices_are_told() -> None:
    with (
        pytest.raises(UnsupportedError, match="it copies from cpu to meta in between"),
        asking_nothing(),
    ):
        VALUES.to("meta")


def test_random_numbers_of_the_cpu_are_told() -> None:
    with (
        pytest.raises(UnsupportedError, match="draws random numbers on the CPU"),
        asking_nothing(),
    ):
        torch.rand(1)


def test_what_asks_nothing_goes_through() -> None:
    with asking_nothing():
        found = VALUES[torch.tensor([0, 1])].double() @ torch.ones(2).double()
    assert found == 1


@pytest.mark.parametrize(
    ("algorithm", "mapping", "said"),
    [
        ("maml", "loop", None),
        ("maml", "vmap", None),
        ("metanet", "vmap", None),
        ("maml++", "vmap", "waits for the CPU"),
        ("reptile", "loop", "draws random numbers on the CPU"),
    ],
)
def test_a_method_is_seen_through(algorithm, mapping, said) -> None:
    training = Training(algorithm, "cpu", mapping)
    (episodes,) = training.draw(0)

    def work() -> None:
        with asking_nothing():
            meta_step(
                training.learner, training.meta, episodes, training.learner.mapping
            )

    if said is None:
        work()
    else:
        with pytest.raises(UnsupportedError, match=said):
            work()
