"""Pictures of episodes, with matplotlib and without a screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from .errors import DataError, UnsupportedError

if TYPE_CHECKING:
    from .replay import Replay

RIGHT, WRONG = "#1a7f37", "#c62828"


def draw_episode(replay: Replay, path: Path) -> None:
    """Draw the support and query set with labels and predictions.

    Images: a row a class, its support on the left, its queries on the right under the
    predicted class. Regression of one number: points and predictions. Raises
    UnsupportedError for other inputs, DataError if `path` cannot be written.
    """
    shape = tuple(replay.episodes.support.inputs.shape[2:])
    if replay.classes and len(shape) == 3:
        figure = _images(replay)
    elif not replay.classes and shape == (1,):
        figure = _curve(replay)
    else:
        raise UnsupportedError(f"cannot draw inputs of shape {shape}: leave out --png")
    try:
        figure.savefig(path, dpi=100)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot write {path}: {error}") from error


def _images(replay: Replay) -> Figure:
    task = replay.task
    columns = task.shots + task.queries
    figure = Figure(figsize=(0.8 * columns + 2.2, 0.95 * task.ways + 0.7))
    axes = figure.subplots(task.ways, columns, squeeze=False)
    shape = (task.ways, -1, *replay.episodes.support.inputs.shape[2:])
    support = replay.episodes.support.inputs[0].reshape(shape)
    query = replay.episodes.query.inputs[0].reshape(shape)
    for label in range(task.ways):
        for column in range(columns):
            queried = column >= task.shots
            number = column - task.shots
            image = query[label, number] if queried else support[label, column]
            _image(axes[label][column], image)
            if queried:
                predicted = replay.predictions[label * task.queries + number]
                colour = RIGHT if predicted == label else WRONG
                axes[label][column].set_title(predicted, fontsize=8, color=colour)
        name = f"{label}: {replay.classes[label]}"
        axes[label][0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    accuracy = 100 * (replay.accuracy or 0.0)
    figure.suptitle(
        f"{task.dataset}/{task.split} episode {task.index}: support, then queries "
        f"under the predicted label ({accuracy:.1f} % right)",
        fontsize=9,
    )
    figure.tight_layout()
    return figure


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
