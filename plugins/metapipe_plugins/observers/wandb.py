"""Weights & Biases: a run of theirs for each run, with the same id when it goes on.

Offline, its files lie in the run's own directory, for `wandb sync`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, final

from pydantic import Field

from metapipe import DataError, Observer, Register, RunInfo, hookimpl
from metapipe_plugins.parts.tracking import Tracking, require, title

if TYPE_CHECKING:
    import wandb

CODES = {"completed": 0, "stopped": 0, "interrupted": 255, "failed": 1}
"""Exit codes, which decide what W&B calls a run: 255 is one that was killed."""


@final
class Wandb(Observer):
    """Figures, settings and checkpoints of a run, as a run of Weights & Biases."""

    install: ClassVar[str] = "pip install 'metapipe[wandb]'"

    project: str = Field(default="metapipe", min_length=1)
    """W&B's project."""

    entity: str | None = None
    """User or team; the one that is logged in, if not given."""

    mode: Literal["online", "offline"] | None = None
    """WANDB_MODE, or online, if not given; offline writes files for `wandb sync`."""

    def check(self) -> None:
        """Raises DataError if W&B is not installed, or nobody is logged in."""
        require("wandb", self.install)
        if (self.mode or os.environ.get("WANDB_MODE", "online")) == "online":
            import wandb

            if not wandb.login(prompt=False, verify=False):
                raise DataError(
                    "nobody is logged in to Weights & Biases: run wandb login, or keep "
                    "it here by -s observer.wandb.mode=offline"
                )

    def listener(self) -> object:
        """What tells W&B of one run."""
        return _Run(self)


class _Run(Tracking):
    """One run, as W&B has it."""

    run: wandb.Run | None = None

    def __init__(self, settings: Wandb) -> None:
        self._settings = settings

    def begin(self, run: RunInfo) -> None:
        """Its id is that of the run, so that it goes on where it is known."""
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self.run = wandb.init(
            project=self._settings.project,
            entity=self._settings.entity,
            mode=self._settings.mode,
            id=run.identity,
            resume="allow",
            name=title(run),
            notes=run.note,
            tags=run.tags,
            config=dict(run.settings),
            allow_val_change=True,
            dir=str(run.directory),
            settings=wandb.Settings(silent=True, console="off"),
        )

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """Its history; W&B leaves out what lies before its last step."""
        assert self.run is not None
        self.run.log(dict(values), step=step)

    def know(self, name: str, text: str) -> None:
        """Part of its summary."""
        assert self.run is not None
        self.run.summary[name] = text

    def end(self, status: str) -> None:
        """Send what is left, and say how it ended."""
        if self.run is not None:
            self.know("status", status)
            self.run.finish(exit_code=CODES[status])


@hookimpl
def register_observers(register: Register) -> None:
    """Offer it."""
    register("wandb", Wandb)
