"""A plugin that kills its own process: at a statement of the database, before a commit,
before a file is renamed or removed, or in a hook.

`KILLED_AT` is "WHAT@N": at the n-th thing that begins with WHAT; "@N" is the n-th of
all. `KILLED_LOG` is a file that all of them are written to.
"""

import os
import signal
import sys

from sqlalchemy import Engine, event

from metapipe import hookimpl

what, _, number = os.environ.get("KILLED_AT", "never@1").rpartition("@")
left = int(number)
log = os.environ.get("KILLED_LOG")


def happens(thing: str) -> None:
    """Count, and die if it is the one."""
    global left
    if log:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{thing}\n")
    if thing.startswith(what):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


@event.listens_for(Engine, "before_cursor_execute")
def _statement(connection, cursor, statement, *_) -> None:
    happens(f"sql {' '.join(statement.split())}")


@event.listens_for(Engine, "commit")
def _commit(connection) -> None:
    happens("commit")


def _audit(name: str, arguments: tuple) -> None:
    if name in ("os.rename", "os.remove"):
        happens(f"{name} {os.path.basename(arguments[0])}")


sys.addaudithook(_audit)


@hookimpl
def episodes_recorded(run, episodes) -> None:
    """Training's, a validation's, or the final test's."""
    happens(f"episodes {episodes[0].task.split}")


@hookimpl
def run_finished(run) -> None:
    """All is recorded."""
    happens("finished")
