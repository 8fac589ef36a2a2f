r"""Second-order MAML by metapipe and by its peers: seconds of a meta-iteration.

    python -m pip install --target PEERS --no-deps higher torchopt optree graphviz \
        distro iteryne parallel-metalearn
    python -m pip download --no-deps --no-binary :all: learn2learn
    tar xzf learn2learn-*.tar.gz && cp -r learn2learn-*/learn2learn PEERS
    PYTHONPATH=PEERS python benchmarks/peers.py --minutes 8 --write

All do the same work, 32 five-way one-shot tasks and a step of Adam, each in a process
of its own; that they have the same meta-gradient is checked in double precision before
anything is timed. The machine drifts, so rounds alternate, every second one backwards,
and what is told is the ratio of a peer's seconds to ours in the same round: the median,
with the first and the third quartile in brackets. A peer that is not installed is left
out. Beside other work operations on two threads take ten times as long, or more, and
whose they are is chance: where the machine is not quiet, set OMP_NUM_THREADS=1 for all.
`--quick` sees that all of it works; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from peer_learners import PEERS, Peer, Work

HERE = Path(__file__).parent
TABLE, PICTURE = HERE / "PEERS.md", HERE / "peers.svg"
OURS = "metapipe"

WORKS = (
    Work("pooled, 15 queries, 1 step", True, 15, 1, 32),
    Work("pooled, 15 queries, 5 steps", True, 15, 5, 32),
    Work("MAML's Omniglot, 1 step", False, 1, 1, 32),
    Work("MAML's Omniglot, 5 steps", False, 1, 5, 32),
)

Seconds = dict[str, list[float]]
"""Of each round, by peer."""


def main() -> None:
    """Check equality, then time, then tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=8.0, help="in all, about")
    parser.add_argument("--quick", action="store_true", help="2 tasks")
    parser.add_argument("--only", nargs="*", help="peers, beside metapipe")
    parser.add_argument("--write", action="store_true", help=f"{TABLE.name}, a picture")
    arguments = parser.parse_args()
    works = [replace(work, tasks=2) if arguments.quick else work for work in WORKS]
    minutes = 0.0 if arguments.quick else arguments.minutes
    asked = {OURS, *(arguments.only or PEERS)}
    names = [
        name
        for name, peer in PEERS.items()
        if name in asked and importlib.util.find_spec(peer.module)
    ]
    found: dict[str, Seconds] = {}
    begun = time.monotonic()
    with workers(names) as pipes:
        for number, work in enumerate(works):
            left = 60 * minutes - (time.monotonic() - begun)
            found[work.name] = measured(work, pipes, left / (len(works) - number))
            print(line(work.name, found[work.name]), flush=True)
    if arguments.write:
        TABLE.write_text(table(found), encoding="utf-8")
        draw(found)


def measured(work: Work, pipes: Mapping[str, Connection], seconds: float) -> Seconds:
    """Rounds of one kind of work, in so much time; three at least."""
    begun = time.monotonic()
    require_equal({name: asked(pipe, work) for name, pipe in pipes.items()})
    for pipe in pipes.values():
        asked(pipe, None)  # warms up
    taken: Seconds = {name: [] for name in pipes}
    rounds = 0
    while rounds < 3 or time.monotonic() - begun < seconds:
        for name in list(pipes)[:: 1 if rounds % 2 else -1]:
            taken[name].append(asked(pipes[name], None))
        rounds += 1
    return taken


@contextmanager
def workers(names: Sequence[str]) -> Iterator[dict[str, Connection]]:
    """A process a peer, by its pipe."""
    context = get_context("spawn")
    pipes, processes = {}, []
    for name in names:
        pipes[name], theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, name), daemon=True)
        process.start()
        theirs.close()
        processes.append(process)
    try:
        yield pipes
    finally:
        for pipe in pipes.values():
            pipe.close()
        for process in processes:
            process.join(10)


def serve(pipe: Connection, name: str) -> None:
    """A peer's process: told of work, it answers by the first gradients in double
    precision; else by the seconds of a step."""
    peer: Peer | None = None
    while True:
        try:
            work: Work | None = pipe.recv()
        except EOFError:
            return
        if work is not None:
            exact = PEERS[name](replace(work, tasks=2), torch.float64)
            pipe.send([gradient.numpy() for gradient in exact.gradients()])
            peer = PEERS[name](work, torch.float32)
            continue
        assert peer is not None
        begun = time.perf_counter()
        peer.step()
        pipe.send(time.perf_counter() - begun)


def asked(pipe: Connection, work: Work | None) -> Any:
    """What a process answers."""
    pipe.send(work)
    return pipe.recv()


def require_equal(gradients: Mapping[str, Sequence[Any]]) -> None:
    """All have the same meta-gradient, to 1e-8 in double precision."""
    for name, found in gradients.items():
        for other, mine in zip(found, gradients[OURS], strict=True):
            torch.testing.assert_close(
                *(torch.from_numpy(each) for each in (other, mine)),
                rtol=1e-8,
                atol=1e-9,
                msg=lambda text, name=name: f"{name}: {text}",
            )


def ratios(taken: Seconds, name: str) -> tuple[float, float, float]:
    """A peer's seconds through ours in the same round: quartiles."""
    each = [b / a for a, b in zip(taken[OURS], taken[name], strict=True)]
    low, middle, high = statistics.quantiles(each, n=4, method="inclusive")
    return low, middle, high


def line(name: str, taken: Seconds) -> str:
    """A row of the table."""
    cells = [name, str(len(taken[OURS])), f"{statistics.median(taken[OURS]):.3f}"]
    for peer in PEERS:
        if peer in taken and peer != OURS:
            low, middle, high = ratios(taken, peer)
            cells.append(f"{middle:.2f} [{low:.2f}, {high:.2f}]")
        elif peer != OURS:
            cells.append("")
    return f"| {' | '.join(cells)} |"


def table(found: Mapping[str, Seconds]) -> str:
    """The page."""
    heads = ["work", "rounds", "metapipe, s", *(name for name in PEERS if name != OURS)]
    rows = [line(name, taken) for name, taken in found.items()]
    version = torch.__version__
    return "\n".join(
        [
            "# Beside peers",
            "",
            "Written by `benchmarks/peers.py`: how many times longer than metapipe a "
            "peer takes for the same",
            "meta-iteration, the median over rounds with quartiles in brackets. 32 "
            "tasks, 5 ways, 1 shot, second",
            f"order, Adam; torch {version}, {os.cpu_count()} cores, "
            f"{torch.get_num_threads()} threads, a load of {os.getloadavg()[0]:.1f} "
            "at the end.",
            "",
            f"| {' | '.join(heads)} |",
            "|---" * len(heads) + "|",
            *rows,
            "",
        ]
    )


def draw(found: Mapping[str, Seconds]) -> None:
    """The same as bars."""
    from matplotlib import pyplot

    names = [name for name in PEERS if name in next(iter(found.values()))]
    figure, axes = pyplot.subplots(figsize=(9, 4), layout="constrained")
    width = 0.8 / len(names)
    for place, name in enumerate(names):
        quartiles = [ratios(taken, name) for taken in found.values()]
        middles = [middle for _, middle, _ in quartiles]
        spread = [
            [middle - low for low, middle, _ in quartiles],
            [high - middle for _, middle, high in quartiles],
        ]
        places = [row + place * width for row in range(len(found))]
        axes.bar(places, middles, width, yerr=spread, label=name, capsize=2)
    axes.set_xticks([row + 0.4 - width / 2 for row in range(len(found))], list(found))
    axes.set_ylabel("seconds of an iteration, metapipe = 1")
    axes.legend(frameon=False)
    figure.savefig(PICTURE)


if __name__ == "__main__":
    main()
