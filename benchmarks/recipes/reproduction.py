"""A run that is made again, and its tests."""

from __future__ import annotations

from dataclasses import dataclass

COSINE = ("--schedule", "cosine")


@dataclass(frozen=True)
class Test:
    """One evaluation of a run, and its published counterpart."""

    options: tuple[str, ...] = ()
    """None for the evaluation that ends the training."""

    published: float | None = None
    """Per cent, or mean squared error, or a return."""

    within: float | None = None
    """How near to that we expect to be: so far below it, where it is an accuracy or a
    return."""

    checked: bool = True
    """Whether the published figure was read in a paper, not only remembered."""


@dataclass(frozen=True)
class Reproduction:
    """One run and its tests."""

    name: str
    group: str
    method: str
    train: tuple[str, ...]
    tests: tuple[Test, ...] = (Test(),)
    begins: str = ""
    """The one whose run it starts from."""

    plugins: tuple[str, ...] = ()
    """Files of plugins that it wants; `{benchmarks}` is the folder of this one."""

    @property
    def loading(self) -> tuple[str, ...]:
        """Options of every command of it, before the command's name."""
        return tuple(part for path in self.plugins for part in ("--plugin-path", path))
