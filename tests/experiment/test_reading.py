"""A setting that has no effect on what was chosen is told of."""

import logging

import pytest

from metapipe.experiment.project import Project
from metapipe.experiment.reading import Reading, watched
from metapipe.experiment.registry import load
from metapipe.experiment.resolve import resolve
from metapipe.runs.preparation import check_trainable, prepare
from metapipe.training_settings import TrainingSettings


def test_a_watched_setting_is_the_same_and_remembers() -> None:
    settings = TrainingSettings(lr=0.5, momentum=0.9)
    same, read = watched(settings)
    assert not read
    assert (same.lr, same.model_copy(update={"clip": 1.0}).clip) == (0.5, 1.0)
    assert read == {"lr", "clip"}
    assert isinstance(same, TrainingSettings)
    assert same.model_dump() == settings.model_dump()
    assert read == set(TrainingSettings.model_fields)
    with pytest.raises(Exception, match="frozen"):
        same.lr = 1.0


@pytest.mark.parametrize(
    ("asked", "without"),
    [
        ([("run.algorithm", "protonet"), ("model.head", "zero")], "model.head"),
        ([("model.normalise", False), ("model.scale", True)], "model.scale"),
        ([("run.algorithm", "anil"), ("model.head", "zero")], None),
        ([("run.algorithm", "protonet"), ("model.width", 8)], None),
    ],
)
def test_what_no_model_reads_is_told(tmp_path, caplog, asked, without) -> None:
    asked = [*asked, ("run.dataset", "digits")]
    resolved = resolve(Project(tmp_path), load(), asked)
    reading = Reading.of(resolved.experiment, resolved.origins)
    prepare(reading.experiment)
    with caplog.at_level(logging.WARNING):
        reading.tell(["model"])
    told = [record.getMessage() for record in caplog.records]
    if without is None:
        assert told == []
    else:
        (line,) = told
        assert line.startswith(f"{without} = ")
        assert "(command line) has no effect" in line


@pytest.mark.parametrize(
    ("asked", "without"),
    [
        ([("algorithm.adapt_normalisation", True)], True),
        (
            [("run.algorithm", "protomaml"), ("algorithm.adapt_normalisation", True)],
            True,
        ),
        (
            [("run.algorithm", "meta-sgd"), ("algorithm.adapt_normalisation", True)],
            True,
        ),
        ([("run.algorithm", "maml++"), ("algorithm.adapt_normalisation", True)], True),
        ([("run.algorithm", "maml++"), ("algorithm.step_normalisation", True)], True),
        (
            [
                ("run.algorithm", "maml++"),
                ("algorithm.multi_step_iterations", 7),
                ("algorithm.multi_step", False),
            ],
            True,
        ),
        (
            [
                ("run.algorithm", "reptile"),
                ("algorithm.moments", "fresh"),
                ("algorithm.inner_optimiser", "sgd"),
            ],
            True,
        ),
        ([("training.chunk", 3), ("training.mapping", "loop")], True),
        ([("training.chunk", 3), ("training.mapping", "chunks")], False),
        ([("algorithm.adapt_normalisation", True), ("model.normalise", True)], False),
    ],
)
def test_what_no_training_reads_is_told(tmp_path, caplog, asked, without) -> None:
    """The first of what is asked, beside the others, on a model that normalises nothing
    unless it is asked to."""
    more = [("run.dataset", "digits"), ("task.ways", 3), ("model.width", 8)]
    resolved = resolve(
        Project(tmp_path), load(), [("model.normalise", False), *more, *asked]
    )
    reading = Reading.of(resolved.experiment, resolved.origins)
    check_trainable(prepare(reading.experiment))
    with caplog.at_level(logging.WARNING):
        reading.tell(["training", "algorithm"])
    told = [line for line in caplog.messages if "nothing reads it" in line]
    name = next(n for n, _ in asked if n != "run.algorithm")
    assert [line.partition(" ")[0] for line in told if name in line] == (
        [name] if without else []
    )
