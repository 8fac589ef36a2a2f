"""Several processes of one training, as a launcher starts them."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path

from commands import Command


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
