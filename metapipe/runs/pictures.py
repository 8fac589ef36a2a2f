"""Pictures of episodes and of runs, with matplotlib and without a screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.figure import Figure

from ..data.normalised_source import pictures
from ..errors import DataError, UnsupportedError
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
    tasks, ways = episodes.class_indices.shape
    sets = (episodes.support, episodes.query)
    rows = [
        [_of_label(samples, task, label) for samples in sets]
        for task in range(tasks)
        for label in range(ways)
    ]
    shots, columns = _columns(rows)
    figure = Figure(figsize=(0.8 * columns + 2.2, 0.85 * tasks * ways + 0.7))
    axes = figure.subplots(tasks * ways, columns, squeeze=False)
    for number, (row, (support, query)) in enumerate(zip(axes, rows, strict=True)):
        _row(row[:shots], images[number // ways], support)
        _row(row[shots:], others[number // ways], query)
        index = episodes.class_indices.flatten()[number]
        _name(row, source.facts.classes[int(index)])
    first = episodes.tasks[0]
    figure.suptitle(
        f"{first.dataset}/{first.split}: {tasks} episodes, a row a class; the first "
        f"{shots} columns are support",
        fontsize=9,
    )
    figure.tight_layout()
    save(figure, path)


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


def _images(replay: Replay) -> Figure:
    task, episodes = replay.task, replay.episodes
    sets = (episodes.support, episodes.query)
    rows = [[_of_label(s, 0, label) for s in sets] for label in range(task.ways)]
    shots, columns = _columns(rows)
    figure = Figure(figsize=(0.8 * columns + 2.2, 0.95 * task.ways + 0.7))
    axes = figure.subplots(task.ways, columns, squeeze=False)
    for label, (row, (support, query)) in enumerate(zip(axes, rows, strict=True)):
        _row(row[:shots], episodes.support.inputs[0], support)
        _row(row[shots:], episodes.query.inputs[0], query)
        for place, number in zip(row[shots:], query, strict=False):
            predicted = replay.predictions[number]
            colour = RIGHT if predicted == label else WRONG
            place.set_title(predicted, fontsize=8, color=colour)
        _name(row, f"{label}: {replay.classes[label]}")
    accuracy = 100 * (replay.accuracy or 0.0)
    figure.suptitle(
        f"{task.dataset}/{task.split} episode {task.index}: support, then queries "
        f"under the predicted label ({accuracy:.1f} % right)",
        fontsize=9,
    )
    figure.tight_layout()
    return figure


def _of_label(samples: Samples, task: int, label: int) -> list[int]:
    """Which samples of a task have the label."""
    found: list[int] = (samples.targets[task] == label).nonzero()[:, 0].tolist()
    return found


def _columns(rows: Sequence[Sequence[Sequence[int]]]) -> tuple[int, int]:
    """Columns for the support set, and in all: classes may have unequal numbers."""
    shots, queries = (max(len(row[part]) for row in rows) for part in (0, 1))
    return shots, shots + queries


def _row(places: Sequence[Any], images: Tensor, numbers: Sequence[int]) -> None:
    """Images side by side; what is left of the places stays white."""
    for place in places:
        place.set_axis_off()
    for place, number in zip(places, numbers, strict=False):
        place.set_axis_on()
        _image(place, images[number])


def _name(row: Sequence[Any], name: str) -> None:
    """At the left of a row of images."""
    row[0].set_axis_on()
    row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)


def _image(axes: Any, image: Any) -> None:
    pixels = image.movedim(0, -1).numpy()
    grey = pixels.shape[-1] == 1
    axes.imshow(pixels[..., 0] if grey else pixels, cmap="Greys", vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([])


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
