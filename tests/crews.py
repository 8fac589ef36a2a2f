"""Several processes of one training, as a launcher starts them."""

import os
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
from commands import Command

HASTE = "last_call_timeout=1,keep_alive_interval=1,keep_alive_max_attempt=3"
"""How long agents wait for others: less than torchrun, whose tests these are not."""


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def crew(
    size: int,
    *arguments: str,
    cwd: Path,
) -> list[Command]:
    """That many processes, that were told to do a command together."""
    meeting = {
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "GLOO_SOCKET_IFNAME": "lo",
    }
    before, started = dict(os.environ), []
    try:
        for rank in range(size):
            os.environ.update(meeting, RANK=str(rank), LOCAL_RANK=str(rank))
            started.append(Command(*arguments, cwd=cwd))
    finally:
        os.environ.clear()
        os.environ.update(before)
    return started


def together(
    size: int, *arguments: str, cwd: Path, codes: Sequence[int] | None = None
) -> list[str]:
    """What each printed on stderr, after a command that they did together; exit codes
    are 0, or `codes`."""
    ends = [command.ended() for command in crew(size, *arguments, cwd=cwd)]
    wanted = [0] * size if codes is None else list(codes)
    assert [code for code, _, _ in ends] == wanted, ends
    for rank, (_, out, err) in enumerate(ends):
        assert "Traceback" not in out + err
        assert rank == 0 or not out + err, "the first of them tells"
    return [err for _, _, err in ends]


def torchrun(*arguments: str) -> None:
    """What `torchrun` calls."""
    from torch.distributed.run import main

    main(arguments)


def agents(
    nodes: str, *arguments: str, cwd: Path, waits: str = HASTE
) -> tuple[Command, Command]:
    """Two agents, as torchrun starts one on each of two machines, that do a command
    with a process each; they meet where the first is."""
    port = free_port()
    options = {
        "nnodes": nodes,
        "nproc-per-node": "1",
        "max-restarts": "3",
        "rdzv-backend": "c10d",
        "rdzv-endpoint": f"127.0.0.1:{port}",
        "rdzv-id": "night",
        "rdzv-conf": waits,
        "local-addr": "127.0.0.1",
    }
    given = [word for name, value in options.items() for word in (f"--{name}", value)]
    command = (*given, "-m", "metapipe", *arguments)
    news = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "GLOO_SOCKET_IFNAME": "lo"}
    before = dict(os.environ)
    os.environ.update(news)
    try:
        first = Command(*command, cwd=cwd, program=torchrun)
        await_listener(port)
        return first, Command(*command, cwd=cwd, program=torchrun)
    finally:
        os.environ.clear()
        os.environ.update(before)


def await_listener(port: int, seconds: float = 120) -> None:
    """Wait until somebody listens at a port."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens at {port}")


def kill_machine(agent: Command) -> None:
    """What a machine does that loses its power: agent and workers are gone at once."""
    lost = [*psutil.Process(agent.pid).children(recursive=True)]
    for process in (psutil.Process(agent.pid), *lost):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
