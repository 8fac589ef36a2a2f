"""What real processes say to each other."""

import os
import time
from datetime import timedelta
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

import pytest
import torch
from commands import FORKS
from crews import free_port

from metapipe.errors import CrewError, CrewLostError, UsageError
from metapipe.training.gloo_crew import GlooCrew

COUNTS = (2, 1, 3)
"""Rows of each of three processes."""


def rows(length: int) -> torch.Tensor:
    """Of all processes: so unequal that another order of adding has other bits."""
    generator = torch.Generator().manual_seed(0)
    scale = torch.logspace(-6, 6, sum(COUNTS))[:, None]
    return scale * torch.randn(sum(COUNTS), length, generator=generator)


def at_work(work, rank: int, size: int, port: int, answer: Connection) -> None:
    from metapipe.training.gloo_crew import meeting

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    try:
        with meeting(rank, size, wait=30) as crew:
            answer.send(work(crew))
    except BaseException as error:
        code = getattr(error, "exit_code", None)
        answer.send((type(error).__name__, str(error), code))


def all_do(work, size: int = 3) -> list:
    """What `work`, handed its crew, returns in each of some processes; of an error
    class, text and exit code."""
    port, ends = free_port(), []
    for rank in range(size):
        mine, theirs = FORKS.Pipe(duplex=False)
        process: ForkServerProcess = FORKS.Process(
            target=at_work, args=(work, rank, size, port, theirs)
        )
        process.start()
        ends.append((process, mine))
    found = [mine.recv() for _, mine in ends]
    for process, _ in ends:
        process.join()
    return found


def sums_and_words(crew) -> list:
    start = sum(COUNTS[: crew.rank])
    own = slice(start, start + COUNTS[crew.rank])
    sums = [
        crew.total(rows(length)[own], COUNTS).numpy().tobytes()
        for length in (1, 7, 300_001)
    ]
    return [
        sums,
        crew.gather({"rank": crew.rank, "text": "x" * 30_000 * crew.rank}),
        crew.share([1.5, None] if crew.rank == 0 else None),
        crew.gather(0.1 * crew.rank),
    ]


def test_rows_are_added_in_order_whatever_their_length() -> None:
    wanted = []
    for length in (1, 7, 300_001):  # the last goes in slices
        total = rows(length)[0]
        for row in rows(length)[1:]:
            total = total + row
        wanted.append(total.numpy().tobytes())
    for sums, long, shared, numbers in all_do(sums_and_words):
        assert sums == wanted
        assert [len(word["text"]) for word in long] == [0, 30_000, 60_000]
        assert shared == [1.5, None]
        assert numbers == [0.0, 0.1, 0.2]


def fails_in_one(crew) -> None:
    crew.gather(1)
    if crew.rank == 1:
        raise UsageError("no such thing")
    crew.share(None)


def interrupted_in_one(crew) -> None:
    if crew.rank == 2:
        raise KeyboardInterrupt
    crew.gather(1)


def out_of_step(crew) -> None:
    crew.share(1) if crew.rank else crew.gather(1)


def test_what_one_raises_the_others_hear_at_their_next_call() -> None:
    first, second, third = all_do(fails_in_one)
    assert first == third == ("CrewError", "process 1: no such thing", 2)
    assert second == ("UsageError", "no such thing", 2)
    assert [kind for kind, *_ in all_do(interrupted_in_one)] == 3 * [
        "KeyboardInterrupt"
    ]
    for kind, text, _ in all_do(out_of_step):
        assert kind == CrewError.__name__
        assert "do not do the same: gather, share, share" in text


def slow_leader(crew) -> None:
    crew.gather(1)
    if crew.rank == 1:
        raise UsageError("no such thing")
    if crew.rank == 0:
        time.sleep(1.0)  # in the middle of an iteration
    crew.gather(1)


def test_what_went_wrong_waits_for_those_who_are_busy() -> None:
    first, second, third = all_do(partial(with_hurry, slow_leader))
    assert first == third == ("CrewError", "process 1: no such thing", 2)
    assert second == ("UsageError", "no such thing", 2)


def with_hurry(work, crew) -> None:
    from metapipe.training import gloo_crew

    gloo_crew.HURRY = 0.1
    work(crew)


class JustAfter:
    """What is done just after a moment was waited for."""

    def __init__(self, error: str | None) -> None:
        self.error, self.done = error, False

    def wait(self, moment: timedelta) -> None:
        late, self.done = not self.done, True
        if late or self.error:
            raise RuntimeError("timed out" if late else self.error)

    def is_completed(self) -> bool:
        return self.done


def test_who_comes_just_after_a_moment_is_not_gone(monkeypatch) -> None:
    errors = []

    def all_gather(received, sent, async_op: bool) -> JustAfter:
        for each in received:
            each.copy_(sent)
        return JustAfter(errors.pop() if errors else None)

    monkeypatch.setattr("torch.distributed.all_gather", all_gather)
    crew = GlooCrew(rank=0, size=2, wait=30.0, store=None)
    assert crew.gather(7) == [7, 7]
    errors.append("reset by peer")
    with pytest.raises(CrewLostError, match="is gone"):
        crew.gather(7)
