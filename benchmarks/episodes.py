"""Episodes a second: five ways, one shot, 15 queries, floats out, on one core.

    python benchmarks/episodes.py [--root OMNIGLOT]

Every data set of images, a meta-batch of 32 at a time. Beside it, interleaved, what
such code usually does: one image after the other with `random.sample`, from the same
bank in memory (no decoding at all, which is in its favour). The issue asks for 5,000.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from metapipe.data.image_source import ImageSource
from metapipe.data.sampling import tasks
from metapipe_plugins.datasets.digits import Digits
from metapipe_plugins.datasets.glyphs import Glyphs
from metapipe_plugins.datasets.omniglot import Omniglot

WAYS, SHOTS, QUERIES = 5, 1, 15
META_BATCH = 32


def ours(source: ImageSource, start: int) -> None:
    """One meta-batch, as training draws it."""
    source.draw(tasks("x", "train", 0, start, META_BATCH, WAYS, SHOTS, QUERIES))


def one_by_one(source: ImageSource, start: int) -> None:
    """The same, image after image."""
    pick, bank = random.Random(start), source.bank
    for _ in range(META_BATCH):
        images = []
        for member in pick.sample(source.members, WAYS):
            size, first = bank.sizes[member.index], bank.starts[member.index]
            items = pick.sample(range(size), SHOTS + QUERIES)
            images += [torch.tensor(bank.items[first + item]) / 255 for item in items]
        torch.stack(images)


def rate(draw: Callable[[int], None], batches: int, round_: int) -> float:
    """Episodes a second."""
    begin = time.perf_counter()
    for batch in range(batches):
        draw((round_ * batches + batch) * META_BATCH)
    return batches * META_BATCH / (time.perf_counter() - begin)


def main() -> None:
    """Print the median and the least of some interleaved rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, help="folder or zip that has Omniglot")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sources = {"glyphs": Glyphs().open("train"), "digits": Digits().open("train")}
    if arguments.root:
        omniglot = Omniglot(root=arguments.root)
        sources["omniglot, random turns"] = omniglot.open("train")
        turned = omniglot.model_copy(update={"rotations": "classes"})
        sources["omniglot, 4400 classes"] = turned.open("train")
    print(f"{'':26}{'median':>9}{'least':>9}{'one by one':>12}")
    for name, source in sources.items():
        mine, other = partial(ours, source), partial(one_by_one, source)
        pairs = [
            (rate(mine, 40, n), rate(other, 2, n)) for n in range(arguments.rounds)
        ]
        rates, others = zip(*pairs, strict=True)
        median = statistics.median(rates)
        usual = statistics.median(others)
        print(f"{name:26}{median:9,.0f}{min(rates):9,.0f}{usual:12,.0f}")


if __name__ == "__main__":
    main()
