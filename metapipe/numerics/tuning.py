"""Which task map is fastest here, by trying."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from .memory import available_memory, resident_memory
from .task_map import LocalTaskMap


def candidates(mode: str, chunk: int, tasks: int, device: str) -> list[LocalTaskMap]:
    """The task maps that `mode` allows; for "auto" all that can be worth it."""
    threads = min(torch.get_num_threads(), tasks)
    named = {
        "loop": LocalTaskMap("loop"),
        "vmap": LocalTaskMap("vmap"),
        "chunks": LocalTaskMap("chunks", chunk),
        "threads": LocalTaskMap("threads", threads),
    }
    if mode != "auto":
        return [named[mode]]
    if threads < 2 or device != "cpu":
        del named["threads"]
    if chunk >= tasks:
        del named["chunks"]
    return list(named.values())


def fastest(
    maps: Sequence[LocalTaskMap],
    work: Callable[[LocalTaskMap], object],
    rounds: int = 3,
    tasks: int = 1,
) -> LocalTaskMap:
    """The map with which `work` takes least time: best of interleaved rounds.

    One candidate is returned unmeasured. One that cannot do the work (an operation
    without a batching rule, too little memory) is dropped, and so is one whose first
    call takes more than twice the shortest: a large network is not kept waiting.
    `tasks` of the work, where their graphs are in the machine's own memory: a system
    that promises more of it than it has does not refuse, it kills.
    """
    if len(maps) == 1:
        return maps[0]
    times = _first_calls(maps, work, tasks)
    limit = 2 * min(times.values())
    times = {m: float("inf") for m, seconds in times.items() if seconds <= limit}
    for _ in range(rounds if len(times) > 1 else 0):
        for task_map in times:
            times[task_map] = min(times[task_map], _seconds(work, task_map))
    return min(times, key=lambda task_map: times[task_map])


def _first_calls(
    maps: Sequence[LocalTaskMap], work: Callable[[LocalTaskMap], object], tasks: int
) -> dict[LocalTaskMap, float]:
    """Seconds of the first map, which should need least memory, and of those others
    whose tasks, going by what the first took, fit what is left."""
    first, *others = maps
    before = resident_memory()
    times = {first: _seconds(work, first)}
    each = (resident_memory() - before) / first.alive(tasks)
    for task_map in others:
        more = task_map.alive(tasks) - first.alive(tasks)
        if more * each <= available_memory():
            times[task_map] = _seconds(work, task_map)
    return times


def _seconds(work: Callable[[LocalTaskMap], object], task_map: LocalTaskMap) -> float:
    """How long the work takes, done as in training; for ever if it cannot be."""
    begun = time.perf_counter()
    try:
        with task_map.undisturbed():
            work(task_map)
    except Exception:  # whatever an operation raises that has no batching rule
        if task_map.mode == "loop":
            raise  # not the map's fault: training could not do it either
        return float("inf")
    return time.perf_counter() - begun
