"""The command line as a user runs it: a process of its own, in a project of its own."""

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

FORKS = multiprocessing.get_context("forkserver")
"""Makes processes that have imported torch already: half of a short command's time."""

FORKS.set_forkserver_preload(
    [
        "metapipe.cli.main",
        "metapipe.runs.pipeline",
        "metapipe.adaptation.adapted_model",
        "metapipe.adaptation.few_shot_classifier",
    ]
)

TINY = (
    *("--dataset", "digits", "--model", "mlp", "-s", "model.layers=[16]"),
    *("--ways", "3", "--queries", "4", "--tasks", "4", "--mapping", "loop"),
    *("-s", "evaluation.episodes=20", "--validation-episodes", "10"),
)
"""Options that make a training take a second."""

PATIENCE = 300
"""Seconds that a command may take: of a busy machine, not of a free one."""


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """A `metapipe` process, not waited for."""
    return subprocess.Popen(
        [sys.executable, "-m", "metapipe", *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


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
    with tempfile.TemporaryDirectory() as folder:
        streams = {1: Path(folder, "out"), 2: Path(folder, "err")}
        command = (arguments, cwd, dict(os.environ), streams, first)
        process = FORKS.Process(target=_command, args=command)
        process.start()
        process.join(PATIENCE)
        process.kill()
        process.join()
        out, err = (path.read_text() for path in streams.values())
    return process.exitcode, out, err


def _command(
    arguments: tuple[str, ...],
    cwd: Path,
    environment: Mapping[str, str],
    streams: Mapping[int, Path],
    first: Callable[[], None] | None,
) -> None:
    """In the process itself: what a shell does, then the entry point."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in streams.items():
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY), number)
    from metapipe.cli.main import main

    if first is not None:
        first()
    sys.argv = ["metapipe", *arguments]
    main()


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
