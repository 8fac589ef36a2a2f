"""Which task map is fastest here, by trying."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import torch

from .meter import Meter
from .task_map import LocalTaskMap

Choice = TypeVar("Choice")


def candidates(mode: str, chunk: int, tasks: int, device: str) -> list[LocalTaskMap]:
    """The task maps that `mode` allows; for "auto" all that can be worth it."""
    threads = min(torch.get_num_threads(), tasks)
    named = {
        "loop": LocalTaskMap("loop"),
        "vmap": LocalTaskMap("vmap"),
        "chunks": LocalTaskMap("chunks", chunk),
        "threads": LocalTaskMap("threads", threads),
        "chunked-threads": LocalTaskMap("chunked-threads", threads, chunk),
    }
    if mode != "auto":
        return [named[mode]]
    if threads < 2 or device != "cpu":
        del named["threads"], named["chunked-threads"]
    elif threads == tasks:
        del named["chunked-threads"]
    if chunk >= tasks:
        del named["chunks"]
    return list(named.values())


def fastest(
    maps: Sequence[LocalTaskMap],
    work: Callable[[LocalTaskMap], object],
    rounds: int = 3,
    tasks: int = 1,
    meter: Meter | None = None,
) -> LocalTaskMap:
    """The map with which `work` takes least time: best of interleaved rounds.

    One candidate is returned unmeasured. One that cannot do the work (an operation
    without a batching rule, too little memory) is dropped, and so is one whose first
    call takes more than twice the shortest: a large network is not kept waiting.
    `tasks` of the work, whose graphs are in the memory of the device that the `meter`
    is of; the machine's own if not given. A system that promises more of it than it
    has does not refuse, it kills.
    """
    if len(maps) == 1:
        return maps[0]
    meter = meter or Meter()
    times = _first_calls(maps, work, tasks, meter)
    limit = 2 * min(times.values())
    near = [task_map for task_map, seconds in times.items() if seconds <= limit]
    return quickest({m: partial(_seconds, work, m, meter) for m in near}, rounds)


def quickest(timed: Mapping[Choice, Callable[[], float]], rounds: int) -> Choice:
    """The one whose call takes, as it says itself, fewest seconds: the best of so many
    interleaved rounds. One alone is returned unmeasured."""
    times = dict.fromkeys(timed, math.inf)
    for _ in range(rounds if len(timed) > 1 else 0):
        for choice, seconds in timed.items():
            times[choice] = min(times[choice], seconds())
    return min(times, key=lambda choice: times[choice])


def _first_calls(
    maps: Sequence[LocalTaskMap],
    work: Callable[[LocalTaskMap], object],
    tasks: int,
    meter: Meter,
) -> dict[LocalTaskMap, float]:
    """Seconds of the first map, which should need least memory, and of those others
    whose tasks, going by what the first took, fit what is left."""
    first, *others = maps
    before = meter.begin()
    times = {first: _first(work, first, meter)}
    each = (meter.most() - before) / first.alive(tasks)
    for task_map in others:
        more = task_map.alive(tasks) - first.alive(tasks)
        if more * each <= meter.left():
            times[task_map] = _first(work, task_map, meter)
    return times


def _first(
    work: Callable[[LocalTaskMap], object], task_map: LocalTaskMap, meter: Meter
) -> float:
    """Seconds of the first call that is as all others will be."""
    taken = 0.0
    for _ in range(meter.calls_first):
        if math.isfinite(taken):
            taken = _seconds(work, task_map, meter)
    return taken


def _seconds(
    work: Callable[[LocalTaskMap], object], task_map: LocalTaskMap, meter: Meter
) -> float:
    """How long the work takes, done as in training; for ever if it cannot be."""
    try:
        with task_map.undisturbed():
            return meter.seconds(lambda: work(task_map))
    except Exception:  # whatever an operation raises that has no batching rule
        if task_map.mode == "loop":
            raise  # not the map's fault: training could not do it either
    meter.clear()  # now that nothing holds the error, and so its tensors
    return float("inf")
