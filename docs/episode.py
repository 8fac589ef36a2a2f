"""The drawing of concepts.md: an episode of the glyphs, as a training meets it.

`conf.py` draws it before each build; it is not committed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from metapipe import Episodes, Task
from metapipe_plugins.datasets.glyphs import Glyphs

WAYS, SHOTS, QUERIES, TASKS = 3, 2, 4, 4
GAP = 0.12
"""Between two pictures, whose side is 1."""

GREY, BLUE, ORANGE = "#777777", "#2a6ebb", "#c8640a"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # words stay words
    "svg.hashsalt": "episode",
    "font.family": ["DejaVu Sans", "sans-serif"],
}


def meta_batch() -> Episodes:
    """Four episodes of one iteration."""
    recipes = [
        Task("glyphs", "train", 0, index, WAYS, SHOTS, QUERIES)
        for index in range(TASKS)
    ]
    return Glyphs().open("train").draw(recipes)


def draw(path: Path) -> None:
    """Write the drawing as SVG."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 5.75))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, 16), ylim=(11.5, 0))
        axes.axis("off")
        episodes = meta_batch()
        _episode(axes, episodes)
        _meta_batch(axes, episodes)
        _predictions(axes, episodes)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})


def _episode(axes: Any, episodes: Episodes) -> None:
    """The first, large: support set and query set, a class a row."""
    _say(axes, 0.4, 0.5, "An episode: one small task", size=12, weight="bold")
    left, top, right = 2.6, 2.4, 7.4
    support, query = pictures_of(episodes, 0)
    _grid(axes, support, left, top, 1.0, BLUE)
    _grid(axes, query, right, top, 1.0, ORANGE)
    _say(axes, left, 1.25, "support set", color=BLUE, weight="bold")
    _say(axes, left, 1.85, f"{SHOTS} shots: labelled", color=BLUE)
    _say(axes, right, 1.25, "query set", color=ORANGE, weight="bold")
    _say(axes, right, 1.85, f"{QUERIES} queries a class: to be predicted", color=ORANGE)
    _say(axes, 0.4, 3.6, f"{WAYS} ways:")
    _say(axes, 0.4, 4.15, "classes")
    for label in range(WAYS):
        _say(axes, 2.2, top + 0.5 + label * (1 + GAP), str(label), color=GREY)
    _say(axes, 5.3, 3.6, "learn", color=GREY)
    _arrow(axes, (5.1, 4.1), (7.1, 4.1))
    _say(axes, 12.3, 3.6, "loss and accuracy", color=GREY)
    _arrow(axes, (12.1, 4.1), (15.4, 4.1))


def _meta_batch(axes: Any, episodes: Episodes) -> None:
    """All four, small."""
    _say(axes, 0.4, 6.9, "A meta-batch", weight="bold")
    _say(axes, 0.4, 7.5, f"the {TASKS} episodes of one iteration;")
    _say(axes, 0.4, 8.05, "the learner changes once for all")
    for task in range(TASKS):
        support, query = pictures_of(episodes, task)
        left, top = 0.5 + 3.4 * (task % 2), 8.6 + 1.4 * (task // 2)
        _grid(axes, support, left, top, 0.32, BLUE)
        _grid(axes, query, left + 1.1, top, 0.32, ORANGE)


def _predictions(axes: Any, episodes: Episodes) -> None:
    """What a prediction may see."""
    support, query = pictures_of(episodes, 0)
    for top, name, what, seen in (
        (7.9, "inductive", "each query on its own, as in use", query[:1, :1]),
        (9.9, "transductive", "all queries of the episode at once", query),
    ):
        _grid(axes, support, 8.2, top, 0.32, BLUE)
        _grid(axes, seen, 9.3, top, 0.32, ORANGE)
        _say(axes, 11.1, top + 0.2, name, weight="bold")
        _say(axes, 11.1, top + 0.75, what)
    _say(axes, 8.1, 6.9, "What a prediction sees", weight="bold")


def pictures_of(episodes: Episodes, task: int) -> tuple[Tensor, Tensor]:
    """Support (WAYS, SHOTS, h, w) and query (WAYS, QUERIES, h, w) by label."""
    support, query = (
        samples.inputs[task, samples.targets[task].argsort(stable=True), 0]
        for samples in (episodes.support, episodes.query)
    )
    return (
        support.reshape(WAYS, SHOTS, *support.shape[1:]),
        query.reshape(WAYS, QUERIES, *query.shape[1:]),
    )


def _grid(
    axes: Any, pictures: Tensor, left: float, top: float, side: float, color: str
) -> None:
    """Pictures (rows, columns, h, w) from a corner on, in a frame."""
    rows, columns = pictures.shape[:2]
    step = side * (1 + GAP)
    for row in range(rows):
        for column in range(columns):
            x, y = left + column * step, top + row * step
            axes.imshow(
                pictures[row, column].numpy(),
                cmap="Greys",
                vmin=0,
                vmax=1,
                extent=(x, x + side, y + side, y),
                aspect="auto",
                interpolation="none",
            )
    edge = side * GAP
    width, height = columns * step + edge, rows * step + edge
    corner = (left - edge, top - edge)
    axes.add_patch(Rectangle(corner, width, height, fill=False, color=color, lw=1.5))


def _say(axes: Any, x: float, y: float, words: str, **looks: Any) -> None:
    axes.text(x, y, words, va="center", **{"size": 10, **looks})


def _arrow(axes: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    looks = {"arrowstyle": "->", "color": GREY, "lw": 1.5}
    axes.annotate("", xy=end, xytext=start, arrowprops=looks)


if __name__ == "__main__":
    draw(Path(__file__).parent / "reference" / "episode.svg")
