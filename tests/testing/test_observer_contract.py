"""The contract of observers refuses those that would be told of as broken in a run,
and says what to change."""

from typing import Any

import pytest

from metapipe import hookimpl
from metapipe.testing import ObserverContract


class Good:
    @hookimpl
    def stop_run(self, metrics) -> str | None:
        return "enough" if metrics.get("val_accuracy", 0) > 0.3 else None


class OfClassesOnly:
    @hookimpl
    def step_recorded(self, metrics) -> None:
        if "loss" in metrics:
            print(metrics["loss"] / metrics["accuracy"])


class Changing:
    @hookimpl
    def step_recorded(self, metrics) -> None:
        metrics["loss"] = 0.0


class NoReason:
    @hookimpl
    def stop_run(self, metrics) -> Any:
        return True


class Misheard:
    @hookimpl
    def step_recorded(self, figures) -> None:
        pass


class AfterTheEnd:
    """Keeps a file that a second run does not find open."""

    def __init__(self) -> None:
        self.open = True

    @hookimpl
    def step_recorded(self) -> None:
        assert self.open, "the file is closed"

    @hookimpl
    def run_finished(self) -> None:
        self.open = False


def checked(observer: object) -> None:
    """All of the contract."""
    contract = ObserverContract()
    contract.observer = observer
    tests = [name for name in dir(contract) if name.startswith("test_")]
    assert len(tests) == 4
    for name in tests:
        getattr(contract, name)()


def test_one_that_stops_runs_passes() -> None:
    checked(Good())


@pytest.mark.parametrize(
    ("observer", "words"),
    [
        (object(), "listens to nothing: mark functions with metapipe.hookimpl"),
        (OfClassesOnly(), r"step_recorded raises KeyError: 'accuracy'.*every figure"),
        (Changing(), "step_recorded changes what it is told"),
        (NoReason(), "stop_run returns True: return None to go on, or the reason"),
        (Misheard(), "figures"),
        (AfterTheEnd(), "the file is closed"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_wrong_is_said(observer: object, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        checked(observer)
