"""Several processes of one training on this machine, by PyTorch's elastic agent: it
starts them, and starts all of them again when one is killed."""

from __future__ import annotations

import logging
import multiprocessing
import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeVar

from ..errors import CrewError, CrewLostError, MetapipeError
from .signals import passed_on

Result = TypeVar("Result")

LOOPBACK = "127.0.0.1"

IMPORTED = "metapipe.runs.preloaded"
"""What is imported by the process that forks them."""

LIBRARIES = ("torch.distributed.elastic", "torch.distributed.launcher")
"""Who would tell, in many words, what is told here in one line."""


def together(
    count: int, restarts: int, advice: str, work: Callable[..., Result], *arguments: Any
) -> Result:
    """Call `work`, a function of a module, in `count` new processes; returns what it
    returns in the first. What metapipe raises there is raised here; where one is killed
    all are started again, so often at most, and then the error ends with `advice`.

    SIGTERM is handed on; a terminal's Ctrl-C reaches all of them by itself.
    """
    import torch
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=f"{socket.gethostname()[:60]}-{os.getpid()}-{secrets.token_hex(4)}",
        rdzv_backend="c10d",
        rdzv_endpoint=f"{LOOPBACK}:0",
        local_addr=LOOPBACK,
        max_restarts=restarts,
        start_method="forkserver",
        signals_to_handle="SIGQUIT",
    )
    multiprocessing.set_forkserver_preload([IMPORTED])
    here = (os.getcwd(), torch.get_num_threads(), dict(os.environ))
    with _surroundings(), _main_left_alone(), passed_on(_ask):
        try:
            found: Any = elastic_launch(config, _at_work)(*here, work, arguments)[0]
        except ChildFailedError as error:
            rank, first = error.get_first_failure()
            raise CrewLostError(
                f"process {rank} of {count} ended {_how(first.exitcode)}, and all were "
                f"started again {restarts} times: {advice}"
            ) from error
        except SignalException as error:
            raise KeyboardInterrupt from error
    if isinstance(found, BaseException):
        raise found
    result: Result = found
    return result


def _at_work(
    folder: str,
    threads: int,
    environment: Mapping[str, str],
    work: Callable[..., Result],
    arguments: tuple[Any, ...],
) -> Any:
    """In a process of the crew, which may have been forked with other surroundings than
    this program has. An error that it raises is its result: it would end so again; but
    one whose companion is gone fails, and is started again."""
    import torch

    os.environ.update(dict(environment) | os.environ)
    os.chdir(folder)
    torch.set_num_threads(threads)
    try:
        return work(*arguments)
    except CrewLostError:
        raise
    except KeyboardInterrupt:
        return KeyboardInterrupt()
    except MetapipeError as error:
        return error
    except Exception as error:
        return CrewError(f"{type(error).__name__}: {error}")


def _how(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"


@contextmanager
def _main_left_alone() -> Iterator[None]:
    """A script of the user's is not run again in each process, as multiprocessing
    would: what they do is nowhere in it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _surroundings() -> Iterator[None]:
    """What processes of one machine are told by the environment: to speak by way of
    this machine alone, and to meet anew (pytorch 135712)."""
    given: Mapping[str, str] = {
        "GLOO_SOCKET_IFNAME": "lo" if sys.platform == "linux" else "lo0",
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    }
    new = {name: value for name, value in given.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]


def _ask(number: int) -> None:
    """Send a signal to all processes."""
    for process in multiprocessing.active_children():
        if process.pid is not None:
            os.kill(process.pid, number)
