"""The command line as a user runs it: a process of its own, in a project of its own."""

import json
import multiprocessing
import os
import runpy
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

FORKS = multiprocessing.get_context("forkserver")
"""Makes processes that have imported already what most commands need: torch, the
plugins and the libraries. That is nine tenths of a short command's time."""

FORKS.set_forkserver_preload(
    [
        "metapipe.cli.main",
        "metapipe.runs.pipeline",
        "metapipe.adaptation.adapted_model",
        "metapipe.adaptation.few_shot_classifier",
        *sorted({plugin.module for plugin in entry_points(group="metapipe")}),
        *("alembic.command", "rich.progress", "rich.table"),
    ]
)

TINY = (
    *("--dataset", "digits", "--model", "mlp", "-s", "model.layers=[16]"),
    *("--ways", "3", "--queries", "4", "--tasks", "4", "--mapping", "loop"),
    *("-s", "evaluation.episodes=20", "--validation-episodes", "10"),
)
"""Options that make a training take a second."""

Program = Callable[..., None]

PATIENCE = 300
"""Seconds that a command may take: of a busy machine, not of a free one."""


def entry_point(*arguments: str) -> None:
    """What `metapipe` calls."""
    from metapipe.cli.main import main

    sys.argv = ["metapipe", *arguments]
    main()


def script(path: str) -> None:
    """What `python -W error` does."""
    warnings.simplefilter("error")
    runpy.run_path(path, run_name="__main__")


class Command:
    """A process that was started, of `metapipe` if not of another program, and is not
    waited for."""

    def __init__(
        self, *arguments: str, cwd: Path, program: Program = entry_point
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._streams = {n: Path(self._folder.name, str(n)) for n in (1, 2)}
        place = (cwd, dict(os.environ), self._streams)
        self._process = FORKS.Process(target=_run, args=(program, arguments, *place))
        self._process.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return cast(int, self._process.pid)

    def send_signal(self, number: int) -> None:
        """As `kill` does."""
        os.kill(self.pid, number)

    def ended(self) -> tuple[int | None, str, str]:
        """The exit code, and what was printed on stdout and stderr."""
        self._process.join(PATIENCE)
        self._process.kill()
        self._process.join()
        with self._folder:
            out, err = (path.read_text() for path in self._streams.values())
        return self._process.exitcode, out, err


def metapipe(*arguments: str, cwd: Path, code: int = 0) -> tuple[str, str]:
    """What a finished command printed, on stdout and stderr; the exit code is checked,
    and that no traceback was shown."""
    found, out, err = run_metapipe(*arguments, cwd=cwd)
    assert found == code, f"{arguments}: {found}\n{out}\n{err}"
    assert "Traceback" not in out + err
    return out, err


def run_metapipe(
    *arguments: str, cwd: Path, first: Callable[[], None] | None = None
) -> tuple[int | None, str, str]:
    """The exit code of a command, and what it printed on stdout and stderr; `first` is
    called in its process before it."""
    program = entry_point if first is None else partial(_after, first)
    return Command(*arguments, cwd=cwd, program=program).ended()


def _after(first: Callable[[], None], *arguments: str) -> None:
    first()
    entry_point(*arguments)


def _run(
    program: Program,
    arguments: tuple[str, ...],
    cwd: Path,
    environment: Mapping[str, str],
    streams: Mapping[int, Path],
) -> None:
    """In the process itself: what a shell does, then the program."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in streams.items():
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY), number)
    program(*arguments)


def metapipe_json(*arguments: str, cwd: Path, code: int = 0) -> Any:
    """The JSON that a command printed."""
    out, _ = metapipe(*arguments, "--json", cwd=cwd, code=code)
    return json.loads(out)


def error_line(*arguments: str, cwd: Path, code: int) -> str:
    """The one line with which a command failed."""
    out, err = metapipe(*arguments, cwd=cwd, code=code)
    lines = [line for line in err.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, err
    assert out == ""
    return lines[0].removeprefix("Error: ")
