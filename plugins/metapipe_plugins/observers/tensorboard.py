"""TensorBoard: a folder of events a run.

`tensorboard --logdir .metapipe/runs` shows all runs of a project. A run that is resumed
goes on in its folder: what lies behind its checkpoint is marked as void there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final

from metapipe import Observer, Register, RunInfo, hookimpl
from metapipe.data import one_line
from metapipe_plugins.parts.tracking import Tracking, require, title

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

METRICS = ("val_loss", "val_accuracy", "test_loss", "test_accuracy")
"""What the table of hyperparameters shows beside them."""


@final
class TensorBoard(Observer):
    """Figures, settings and checkpoints of a run, as TensorBoard shows them."""

    install: ClassVar[str] = "pip install 'metapipe[tensorboard]'"

    folder: Path | None = None
    """Where each run has a folder of its events; the run's own directory if not
    given."""

    def check(self) -> None:
        """Raises DataError if TensorBoard is not installed."""
        require("tensorboard", self.install)

    def listener(self) -> object:
        """What writes the events of one run."""
        return _Events(self.folder)


class _Events(Tracking):
    """The events of one run."""

    writer: SummaryWriter

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def begin(self, run: RunInfo) -> None:
        """The run's folder; from `run.step` on, if it has events already."""
        from torch.utils.tensorboard import SummaryWriter

        folder = run.directory / "tensorboard"
        if self._folder is not None:
            folder = self._folder / f"run-{run.id}-{run.identity}"
        behind = run.step + 1 if run.step else 0
        self.writer = SummaryWriter(str(folder), purge_step=behind)
        if not run.step:
            self._describe(run)

    def _describe(self, run: RunInfo) -> None:
        """What it is, and a row of the table of hyperparameters."""
        from torch.utils.tensorboard import summary

        hparams: Any = summary.hparams  # which has no types
        facts = {"run": title(run), "tags": ", ".join(run.tags), "note": run.note or ""}
        rows = [*facts.items(), *run.settings.items()]
        lines = [f"| {name} | {_cell(value)} |" for name, value in rows if value != ""]
        self.writer.add_text("run", "\n".join(["| | |", "|-|-|", *lines]), 0)
        known = {name: _plain(value) for name, value in run.settings.items()}
        file: Any = self.writer.file_writer
        for row in hparams(known, dict.fromkeys(METRICS, 0.0)):
            file.add_summary(row)

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """Scalars."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def know(self, name: str, text: str) -> None:
        """A text. All before a checkpoint has to be there when a run goes on from it,
        so it is on disk at once."""
        self.writer.add_text(name, text, self.step)
        self.writer.flush()

    def end(self, status: str) -> None:
        """Write what is left."""
        self.writer.add_text("status", status, self.step)
        self.writer.close()


def _plain(value: Any) -> bool | int | float | str:
    return value if isinstance(value, bool | int | float | str) else str(value)


def _cell(value: Any) -> str:
    return one_line(value).replace("|", "\\|")


@hookimpl
def register_observers(register: Register) -> None:
    """Offer it."""
    register("tensorboard", TensorBoard)
