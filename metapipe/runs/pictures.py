"""Pictures of episodes and of runs, with matplotlib and without a screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..data.normalised_source import pictures
from ..errors import DataError, UnsupportedError
from ..printable import shortened
from ..whole_file import whole_file

if TYPE_CHECKING:
    from torch import Tensor

    from ..dataset import Source
    from ..episode import Episodes, Samples
    from .curves import Curve, Point
    from .replay import Replay

Axis = Literal["minutes", "iterations"]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's, which the colour-blind can tell apart."""

DASHES = ("-", "--", ":")
RIGHT, WRONG = "#1a7f37", "#c62828"

TILE, GAP, LINE, LETTER = 0.72, 0.08, 0.16, 0.065
"""Inches: an image, what is between two, a line of words, a letter."""

NAME = 32
"""Letters of a class's name."""


def draw_episode(replay: Replay, path: Path) -> None:
    """Draw the support and query set with labels and predictions.

    Images: a row a class, its support on the left, its queries on the right under the
    predicted class. Regression of one number: points and predictions. Control: as the
    data set draws it, or rewards over steps. Raises UnsupportedError for other inputs,
    WriteError if `path` cannot be written.
    """
    shape = tuple(replay.episodes.query.inputs.shape[2:])
    if replay.returns:
        figure = _trajectories(replay)
    elif replay.classes and len(shape) == 3:
        figure = _images(replay)
    elif not replay.classes and shape == (1,):
        figure = _curve(replay)
    else:
        raise UnsupportedError(f"cannot draw inputs of shape {shape}: leave out --png")
    save(figure, path)


def draw_samples(source: Source, episodes: Episodes, path: Path) -> None:
    """Draw episodes of a data set of images: a row a class, its support on the left,
    its queries on the right.

    Raises UnsupportedError for other inputs, WriteError if `path` cannot be written.
    """
    episodes = pictures(source, episodes)
    images, others = episodes.support.inputs, episodes.query.inputs
    if images.ndim != 5 or episodes.class_indices is None:
        shape = tuple(images.shape[2:])
        raise UnsupportedError(f"cannot draw inputs of shape {shape}: leave out --png")
    names = source.facts.classes
    rows = [
        _Row(
            names[int(index)],
            [images[task, n] for n in _of_label(episodes.support, task, label)],
            [
                (others[task, n], "", RIGHT)
                for n in _of_label(episodes.query, task, label)
            ],
        )
        for task, indices in enumerate(episodes.class_indices)
        for label, index in enumerate(indices)
    ]
    first = episodes.tasks[0]
    title = (
        f"{first.dataset}/{first.split}: {len(episodes.tasks)} episodes, a row a "
        "class: support, then queries"
    )
    save(_grid(title, rows), path)


def draw_curves(curves: Sequence[Curve], path: Path, axis: Axis) -> None:
    """Draw validation figures over training time or iterations, with their 95 %
    intervals as bands, and the test at the end as a point with its interval.

    Raises WriteError if `path` cannot be written.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    percent = 100 if curves[0].figure == "accuracy" else 1
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        dashes = DASHES[number // len(COLOURS) % len(DASHES)]
        x = np.array([_position(p, axis) for p in curve.validations])
        y, ci95 = (
            percent * np.array([getattr(p, name) for p in curve.validations])
            for name in ("value", "ci95")
        )
        axes.plot(x, y, dashes, color=colour, label=curve.name, marker=".")
        axes.fill_between(x, y - ci95, y + ci95, color=colour, alpha=0.15, linewidth=0)
        if curve.test is not None:
            value, spread = percent * curve.test.value, percent * curve.test.ci95
            at = _position(curve.test, axis)
            axes.errorbar(at, value, spread, color=colour, marker="D", capsize=4)
    unit = "accuracy in %" if percent == 100 else curves[0].figure
    axes.set_xlabel("minutes of training" if axis == "minutes" else "iterations")
    axes.set_ylabel(f"validation {unit}, 95 % interval over {curves[0].over}")
    axes.set_title("lines: validation; diamonds: test", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    save(figure, path)


def _position(point: Point, axis: Axis) -> float:
    return point.minutes if axis == "minutes" else point.step


def save(figure: Figure, path: Path) -> None:
    """Write a figure as the kind of file that its name says, PNG without one.

    Raises DataError for a kind that is none, WriteError.
    """
    kind = path.suffix.removeprefix(".") or "png"
    try:
        with whole_file(path) as file:
            figure.savefig(file, format=kind, dpi=100)
    except ValueError as error:
        raise DataError(f"cannot write {path}: {error}") from error


@dataclass(frozen=True)
class _Row:
    """A class, its support, and its queries with a coloured word over each."""

    name: str
    support: Sequence[Tensor]
    queries: Sequence[tuple[Tensor, str, str]]


def _images(replay: Replay) -> Figure:
    task, support, query = replay.task, replay.episodes.support, replay.episodes.query
    rows = [
        _Row(
            f"{label}: {name}",
            [support.inputs[0, n] for n in _of_label(support, 0, label)],
            [
                (query.inputs[0, n], *_verdict(replay.predictions[n], label))
                for n in _of_label(query, 0, label)
            ],
        )
        for label, name in enumerate(replay.classes)
    ]
    accuracy = 100 * (replay.accuracy or 0.0)
    title = (
        f"{task.dataset}/{task.split} episode {task.index}: support, then queries "
        f"under the predicted label ({accuracy:.1f} % right)"
    )
    return _grid(title, rows)


def _verdict(predicted: Any, label: int) -> tuple[str, str]:
    return str(predicted), RIGHT if predicted == label else WRONG


def _grid(title: str, rows: Sequence[_Row]) -> Figure:
    """A row a class, all in inches in one plane: a hundred of them take seconds."""
    shots = max(len(row.support) for row in rows)
    columns = shots + max(len(row.queries) for row in rows)
    names = [shortened(row.name, NAME) for row in rows]
    left = LETTER * max(map(len, names)) + 2 * GAP
    width = max(left + (TILE + GAP) * columns + 2 * GAP, LETTER * len(title))
    high = TILE + LINE + GAP
    figure = Figure(figsize=(width, high * len(rows) + 2 * LINE))
    plane = figure.add_axes((0, 0, 1, 1), xlim=(0, width))
    plane.set(ylim=(high * len(rows) + 2 * LINE, 0))  # downwards
    plane.set_axis_off()
    plane.text(GAP, LINE, title, fontsize=9, va="center")
    for number, (row, name) in enumerate(zip(rows, names, strict=True)):
        y = 2 * LINE + number * high + LINE
        plane.text(left - GAP, y + TILE / 2, name, fontsize=8, ha="right", va="center")
        for place, image in enumerate(row.support):
            _image(plane, image, left + place * (TILE + GAP), y)
        for place, (image, word, colour) in enumerate(row.queries, start=shots):
            x = left + place * (TILE + GAP) + 2 * GAP
            _image(plane, image, x, y)
            middle = x + TILE / 2
            plane.text(middle, y - 0.03, word, fontsize=8, color=colour, ha="center")
    return figure


def _of_label(samples: Samples, task: int, label: int) -> list[int]:
    """Which samples of a task have the label."""
    found: list[int] = (samples.targets[task] == label).nonzero()[:, 0].tolist()
    return found


def _image(plane: Any, image: Tensor, x: float, y: float) -> None:
    """An image with a frame, its upper left corner at a point."""
    pixels = image.movedim(0, -1).numpy()
    grey = pixels.shape[-1] == 1
    place = (x, x + TILE, y + TILE, y)
    shown = pixels[..., 0] if grey else pixels
    plane.imshow(shown, cmap="Greys", vmin=0, vmax=1, extent=place, aspect="auto")
    plane.add_patch(Rectangle((x, y), TILE, TILE, fill=False, lw=0.5, ec="grey"))


def _curve(replay: Replay) -> Figure:
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    support, query = replay.episodes.support, replay.episodes.query
    order = query.inputs[0, :, 0].argsort()
    x = query.inputs[0, order, 0].tolist()
    predicted = [replay.predictions[i] for i in order.tolist()]
    axes.plot(x, query.targets[0, order, 0].tolist(), color="grey", label="true")
    axes.plot(x, predicted, color=WRONG, label="predicted")
    points = support.inputs[0, :, 0].tolist(), support.targets[0, :, 0].tolist()
    axes.plot(*points, "o", color=RIGHT, label="support")
    axes.legend()
    axes.set_title(f"episode {replay.task.index}: squared error {replay.loss:.3f}")
    figure.tight_layout()
    return figure


def _trajectories(replay: Replay) -> Figure:
    """As the data set draws them, or by their rewards."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    task = replay.task
    try:
        replay.source.depict(figure, replay.episodes)
    except UnsupportedError:
        figure.clear()
        _rewards(figure, replay.episodes)
    steps = ", ".join(f"{value:.4g}" for value in replay.returns)
    figure.suptitle(
        f"{task.dataset}/{task.split} episode {task.index}: mean returns by step "
        f"{steps}",
        fontsize=9,
    )
    return figure


def _rewards(figure: Figure, episodes: Episodes) -> None:
    """The sum of rewards up to each step, a mean over the trajectories of a round."""
    axes = figure.subplots()
    rounds = [*episodes.support.rewards[0], episodes.query.rewards[0]]
    for number, rewards in enumerate(rounds):
        colour = COLOURS[number % len(COLOURS)]
        so_far = rewards.cumsum(-1).mean(0).tolist()
        axes.plot(so_far, color=colour, label=f"after {number} steps of learning")
    axes.set_xlabel("step")
    axes.set_ylabel("rewards so far")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
