"""Processes that do not agree on what decides figures are told so in a line."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest
import torch
from toy_training import learner

from metapipe.errors import CrewError
from metapipe.runs.agreement import require_agreement, require_same_state
from metapipe.training.crew import Alone
from metapipe.training.loop import initial_state
from metapipe.training_settings import TrainingSettings


@dataclass(frozen=True)
class Heard(Alone):
    """Two processes: what this one says, and what the other said."""

    size: int = 2
    other: tuple = ()

    def gather(self, value):
        """Both."""
        if not self.other:
            object.__setattr__(self, "other", (value,))
        return [value, *self.other]


def test_other_parameters_are_told_of_and_equal_ones_are_not() -> None:
    _, meta = learner()
    state = initial_state(meta, TrainingSettings())
    crew = Heard()
    require_same_state(crew, state)
    require_same_state(crew, state)
    name, value = next(iter(state.meta.params.items()))
    moved = value.detach().clone()
    moved.view(-1)[0] = torch.nextafter(moved.view(-1)[0], torch.tensor(9.0).double())
    state.meta = replace(state.meta, params={**state.meta.params, name: moved})
    with pytest.raises(CrewError, match="process 1 has other parameters at iteration"):
        require_same_state(crew, state)


@pytest.mark.parametrize(
    ("split", "name"), [("train", "training"), ("val", "validation"), ("test", "test")]
)
def test_other_data_of_any_split_are_told_of(split: str, name: str) -> None:
    """And so all else that is compared: the first that differs."""
    _, meta = learner()

    def opened(fingerprint: str):
        return SimpleNamespace(facts=SimpleNamespace(fingerprint=fingerprint))

    def said(fingerprint: str):
        alike = {each: opened("0a0b") for each in ("train", "val", "test")}
        return SimpleNamespace(
            experiment=SimpleNamespace(chosen={}),
            learner=SimpleNamespace(device="cpu"),
            sources={**alike, split: opened(fingerprint)},
            meta=meta,
        )

    registry, crew = SimpleNamespace(versions=lambda _: {"maml": "1.0"}), Heard()
    require_agreement(crew, said("1a2b"), registry)
    with pytest.raises(CrewError) as raised:
        require_agreement(crew, said("3c4d"), registry)
    assert str(raised.value) == (
        f"process 1 has other {name} data than process 0 (1a2b, and 3c4d): all need "
        "the same data and versions"
    )
