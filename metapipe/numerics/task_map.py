"""Mapping a function over the tasks of a meta-batch.

Small tasks are bound by the overhead of many small operations and want `vmap`; large
query sets are bound by memory traffic and want a loop, or small chunks; on a CPU, two
threads that each take half of the tasks, one by one or in chunks, beat one thread whose
operations are split between two. No way is best everywhere, so `fastest` measures. The
result does not depend on it beyond rounding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, cast

import torch
from torch import Tensor

from ..algorithm import TaskFunction, TaskLoss
from ..episode import Drawn, Episodes, Metrics, Params, each
from ..errors import UnsupportedError
from .functional import vectorised
from .threads import computing_with

Mode = Literal["loop", "vmap", "chunks", "threads", "chunked-threads"]

NUMBER = "([1-9][0-9]{0,5})"

NAME = re.compile(
    f"(loop|vmap)|(chunks|threads):{NUMBER}|(chunked-threads):{NUMBER}x{NUMBER}"
)
"""How a task map is written."""


@dataclass(frozen=True)
class LocalTaskMap:
    """How functions are mapped over tasks."""

    mode: Mode = "loop"

    size: int = 1
    """Tasks in a chunk, or number of threads; without meaning for the other modes."""

    chunk: int = 1
    """Of chunked threads: tasks that each vectorises at a time."""

    def __str__(self) -> str:
        if self.mode in ("loop", "vmap"):
            return self.mode
        chunk = f"x{self.chunk}" if self.mode == "chunked-threads" else ""
        return f"{self.mode}:{self.size}{chunk}"

    @classmethod
    def parse(cls, text: str) -> LocalTaskMap:
        """The inverse of `str`: "loop", "vmap", "chunks:8", "threads:2",
        "chunked-threads:2x8".

        Raises UnsupportedError for another text, from a file or a database.
        """
        found = NAME.fullmatch(text)
        if found is None:
            raise UnsupportedError(
                f"{text!r:.80} is no way to map tasks: loop, vmap, chunks:N, ..."
            )
        mode, *sizes = (part for part in found.groups() if part)
        return cls(cast(Mode, mode), *map(int, sizes))

    def __call__(self, function: TaskFunction, episodes: Episodes) -> Metrics:
        """Apply `function` to each task; figures come back stacked, (T, ...)."""

        def group(support: Drawn, query: Drawn) -> Metrics:
            if self.vectorises:
                return cast(Metrics, _vmap(function, support, query))
            results = [function(*task) for task in _single_tasks(support, query)]
            return _stack(results)

        return _concatenate(self._run(group, episodes))

    def gradient(
        self, loss: TaskLoss, params: Params, episodes: Episodes
    ) -> tuple[Params, Metrics]:
        """Gradient of the mean over tasks of `loss` with respect to `params`.

        Returns it keyed like `params`, and the figures, (T,) each. In a loop only one
        task's graph is alive at a time.
        """
        tasks = len(episodes.tasks)

        def group(support: Drawn, query: Drawn) -> tuple[Params, Metrics]:
            leaves = {k: p.detach().requires_grad_() for k, p in params.items()}
            if self.vectorises:
                return _group_gradient(loss, leaves, support, query, tasks)
            parts = [
                _task_gradient(loss, leaves, *task, tasks)
                for task in _single_tasks(support, query)
            ]
            return _sum([grads for grads, _ in parts]), _stack([m for _, m in parts])

        parts = self._run(group, episodes)
        return _sum([grads for grads, _ in parts]), _concatenate([m for _, m in parts])

    def alive(self, tasks: int) -> int:
        """Tasks, of so many, whose graphs are in memory at the same time."""
        return {"loop": 1, "vmap": tasks}.get(
            self.mode, min(self.size * self.chunk, tasks)
        )

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """While worker threads have the cores, keep this thread's operations to one.

        What is left to it is small (sums, the optimiser), and splitting that over cores
        that are busy costs more time than it takes.
        """
        with computing_with(1) if self.threaded else nullcontext():
            yield

    @property
    def vectorises(self) -> bool:
        """Whether some tasks are computed at once, by `vmap`."""
        return self.mode in ("vmap", "chunks", "chunked-threads")

    @property
    def threaded(self) -> bool:
        """Whether worker threads share the tasks."""
        return self.mode in ("threads", "chunked-threads")

    def _run(self, function: Callable[..., Any], episodes: Episodes) -> list[Any]:
        """`function(support, query)` of each group of tasks, in order."""
        tasks = len(episodes.tasks)
        if not self.threaded:
            size = self.size if self.mode == "chunks" else tasks
            return [function(*group) for group in _groups(episodes, size)]
        share = -(-tasks // self.size)
        size = min(self.chunk, share) if self.mode == "chunked-threads" else share
        within, pool = _surroundings(), _pool(self.size)
        groups = _groups(episodes, size)
        return list(pool.map(lambda group: within(function, *group), groups))


def is_task_map(text: str) -> bool:
    """Whether it is the name of one."""
    return NAME.fullmatch(text) is not None


@lru_cache(maxsize=4)
def _pool(threads: int) -> ThreadPoolExecutor:
    """Worker threads, one core each."""
    return ThreadPoolExecutor(threads, "tasks", lambda: torch.set_num_threads(1))


def _surroundings() -> Callable[..., Any]:
    """What calls a function in a worker thread as it would run here: with gradients or
    without, in the same precision, with the same steps recomputed. All of that is a
    thread's own."""
    grad, context = torch.is_grad_enabled(), copy_context()

    def within(function: Callable[..., Any], *arguments: Any) -> Any:
        with torch.set_grad_enabled(grad):
            return context.copy().run(function, *arguments)

    return within


def _groups(episodes: Episodes, size: int) -> Iterable[tuple[Drawn, Drawn]]:
    for start in range(0, len(episodes.tasks), size):
        part = slice(start, start + size)
        yield _at(episodes.support, part), _at(episodes.query, part)


def _single_tasks(support: Drawn, query: Drawn) -> Iterable[tuple[Drawn, Drawn]]:
    for task in range(len(support[0])):
        yield _at(support, task), _at(query, task)


def _at(samples: Drawn, place: int | slice) -> Drawn:
    return each(samples, lambda tensor: tensor[place])


def _vmap(function: Callable[..., Any], *groups: Drawn) -> Any:
    token = vectorised.set(True)
    try:
        return torch.func.vmap(function, randomness="different")(*groups)
    finally:
        vectorised.reset(token)


def _task_gradient(
    loss: TaskLoss, leaves: Params, support: Drawn, query: Drawn, tasks: int
) -> tuple[Params, Metrics]:
    with torch.enable_grad():
        value, metrics = loss(leaves, support, query)
    return _backward(value / tasks, leaves), _detach(metrics)


def _group_gradient(
    loss: TaskLoss, leaves: Params, support: Drawn, query: Drawn, tasks: int
) -> tuple[Params, Metrics]:
    with torch.enable_grad():
        values, metrics = _vmap(lambda s, q: loss(leaves, s, q), support, query)
    return _backward(values.sum() / tasks, leaves), _detach(metrics)


def _backward(value: Tensor, leaves: Params) -> Params:
    grads = torch.autograd.grad(value, tuple(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, grads, strict=True))


def _detach(metrics: Metrics) -> Metrics:
    return {name: value.detach() for name, value in metrics.items()}


def _stack(results: Sequence[Metrics]) -> Metrics:
    return {name: torch.stack([r[name] for r in results]) for name in results[0]}


def _concatenate(results: Sequence[Metrics]) -> Metrics:
    return {name: torch.cat([r[name] for r in results]) for name in results[0]}


def _sum(parts: Sequence[Params]) -> Params:
    total = parts[0]
    for part in parts[1:]:
        total = {name: value + part[name] for name, value in total.items()}
    return total
