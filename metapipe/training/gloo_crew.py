"""A crew whose processes speak by torch.distributed, over gloo.

Every call begins with a word of each: what it wants, and whether it has failed. So
none waits for one that is no longer there, and a slip in the order of calls is told of.
Words are JSON, and numbers are tensors: nothing that is received is ever run.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import Store, Work
from torch.distributed.rendezvous import rendezvous

from ..errors import CrewError, CrewLostError, MetapipeError
from .crew import Value, in_order

WORD = 8192
"""Bytes of a word that need one exchange; longer ones need two."""

LENGTH = 8
"""Bytes that tell how long a word is."""

GATHERED = 1_000_000
"""Bytes of a row up to which each process adds all rows; of longer ones a slice."""

HURRY = 5.0
"""Seconds that a process which was interrupted waits for the others to hear of it."""

MOMENT = timedelta(seconds=1)


@dataclass
class GlooCrew:
    """This process among those that `meeting` brought together."""

    rank: int
    size: int
    wait: float
    """Seconds that the others are waited for."""

    store: Store
    """Where they met."""

    over: bool = False
    """Whether one of them has said that it failed."""

    def share(self, value: Value) -> Value:
        """What rank 0 has, on all."""
        mine = value if self.rank == 0 else None
        shared: Value = self._words("share", mine)[0]
        return shared

    def gather(self, value: Value) -> list[Value]:
        """What each has, in the order of ranks, on all."""
        return self._words("gather", value)

    def total(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        """All rows added in the order of ranks, on all."""
        device, rows = rows.device, rows.cpu()
        small = rows.shape[1] * rows.element_size() <= GATHERED
        add = self._gathered if small else self._in_slices
        with self._reached():
            return add(rows, counts).to(device)

    def fail(self, error: BaseException) -> None:
        """Tell the others, at their next call, that this process ends. They may be in
        the middle of a long iteration: what went wrong is worth waiting for."""
        if self.over:
            return
        interrupted = isinstance(error, KeyboardInterrupt)
        told = {
            "failed": str(error) or type(error).__name__,
            "code": 130 if interrupted else getattr(error, "exit_code", 1),
            "interrupted": interrupted,
        }
        if interrupted:
            self.wait = min(self.wait, HURRY)
        with suppress(RuntimeError):
            self._exchange(json.dumps(told).encode())
            self.over = True

    def _words(self, what: str, value: Any) -> list[Any]:
        with self._reached():
            found = self._exchange(json.dumps({"what": what, "value": value}).encode())
        words = [json.loads(word) for word in found]
        for rank, word in enumerate(words):
            if "failed" in word:
                self.over = True
                raise failure_of(rank, word)
        asked = [word["what"] for word in words]
        if len(set(asked)) > 1:
            raise CrewError(f"the processes do not do the same: {', '.join(asked)}")
        return [word["value"] for word in words]

    def _exchange(self, word: bytes) -> list[bytes]:
        """The word of each. Raises RuntimeError if one is not heard."""
        room = WORD - LENGTH
        head = len(word).to_bytes(LENGTH, "big") + word[:room].ljust(room, b"\0")
        heads = self._bytes_of_each(head)
        lengths = [int.from_bytes(each[:LENGTH], "big") for each in heads]
        rest = max(lengths) - room
        tails = [b""] * self.size
        if rest > 0:
            tails = self._bytes_of_each(word[room:].ljust(rest, b"\0"))
        return [
            (head[LENGTH:] + tail)[:length]
            for head, tail, length in zip(heads, tails, lengths, strict=True)
        ]

    def _bytes_of_each(self, mine: bytes) -> list[bytes]:
        sent = torch.frombuffer(bytearray(mine), dtype=torch.uint8)
        return [bytes(each.numpy()) for each in self._each(sent)]

    def _each(self, sent: Tensor) -> list[Tensor]:
        """The tensor of each process, of one shape."""
        received = [torch.empty_like(sent) for _ in range(self.size)]
        self._done(dist.all_gather(received, sent, async_op=True))
        return received

    def _done(self, work: Work) -> None:
        """Wait for the others. Python sees no signal while torch waits: so it waits a
        moment at a time."""
        begun = time.monotonic()
        while True:
            try:
                work.wait(MOMENT)
                return
            except RuntimeError:
                if work.is_completed():  # it failed; or it came just after the moment
                    work.wait(MOMENT)
                    return
                if time.monotonic() - begun >= self.wait:
                    raise

    def _gathered(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        """Each process gets all rows and adds them."""
        most = max(counts)
        padded = rows.new_zeros(most, rows.shape[1])
        padded[: len(rows)] = rows
        pairs = zip(self._each(padded), counts, strict=True)
        return in_order(torch.cat([found[:count] for found, count in pairs]))

    def _in_slices(self, rows: Tensor, counts: Sequence[int]) -> Tensor:
        """Each process adds a slice of all rows, and gets the other sums."""
        length = rows.shape[1]
        width = -(-length // self.size)
        padded = rows.new_zeros(len(rows), width * self.size)
        padded[:, :length] = rows
        slices = padded.reshape(len(rows), self.size, width).transpose(0, 1)
        received = rows.new_empty(sum(counts), width)
        exchanged = dist.all_to_all_single(
            received.view(-1),
            slices.contiguous().view(-1),
            [count * width for count in counts],
            [len(rows) * width] * self.size,
            async_op=True,
        )
        self._done(exchanged)
        return torch.cat(self._each(in_order(received)))[:length]

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Tell of whom nothing is heard, in a line."""
        begun = time.monotonic()
        try:
            yield
        except RuntimeError as error:
            if time.monotonic() - begun < 0.9 * self.wait:
                raise CrewLostError(
                    "a process is gone: it was killed, or its machine"
                ) from error
            who = ", ".join(map(str, self._silent())) or "unknown"
            raise CrewLostError(
                f"no answer for {self.wait:g} s from process {who} of {self.size}: "
                "it hangs or is gone (processes.wait says how long)"
            ) from error

    def _silent(self) -> list[int]:
        """Those that do not wait for others, as far as can be told."""
        with suppress(RuntimeError):
            self.store.set_timeout(timedelta(seconds=HURRY))
            self.store.set(f"waits/{self.rank}", "")
            time.sleep(1.0)
            found = [self.store.check([f"waits/{r}"]) for r in range(self.size)]
            return [rank for rank, waits in enumerate(found) if not waits]
        return [0]  # it has that store


@contextmanager
def meeting(rank: int, size: int, wait: float) -> Iterator[GlooCrew]:
    """Be one of `size` processes, that meet where MASTER_ADDR and MASTER_PORT say.

    An error that is raised inside ends the others too: each hears of it at its next
    call, and rank 0 tells the user. Raises CrewError in a line if they do not meet.
    """
    patience = timedelta(seconds=wait)
    try:
        store, _, _ = next(rendezvous("env://", rank, size, timeout=patience))
        dist.init_process_group(
            "gloo", store=store, rank=rank, world_size=size, timeout=patience
        )
    except (RuntimeError, ValueError) as error:
        raise _not_met(size, error) from error
    crew = GlooCrew(rank, size, wait, store)
    try:
        yield crew
    except CrewLostError:
        raise
    except BaseException as error:
        crew.fail(error)
        if isinstance(error, MetapipeError):
            error.told = crew.over and rank > 0
        raise
    finally:
        with suppress(RuntimeError):
            dist.destroy_process_group()


def failure_of(rank: int, word: Mapping[str, Any]) -> BaseException:
    """What a process raises that hears how another failed."""
    if word["interrupted"]:
        return KeyboardInterrupt()
    error = CrewError(f"process {rank}: {word['failed']}")
    error.exit_code = word["code"]
    return error


def _not_met(size: int, error: Exception) -> CrewError:
    place = ":".join(os.environ.get(f"MASTER_{n}", "?") for n in ("ADDR", "PORT"))
    reason = str(error).partition("\n")[0].partition(". ")[0]
    return CrewError(
        f"the {size} processes cannot meet at {place}: {reason}; "
        "start all of them (torchrun does), at a port that is free"
    )
