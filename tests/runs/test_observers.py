"""What observers are told of a run, in order; and that they can stop it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

import metapipe
from metapipe import hookimpl
from metapipe.data.sampling import tasks
from metapipe.errors import ClaimError, SettingError
from metapipe.experiment.experiment import Experiment
from metapipe.experiment.project import Project
from metapipe.experiment.registry import load
from metapipe.experiment.resolve import resolve
from metapipe.runs.pipeline import resume, train
from metapipe.runs.stored_run import stored_checkpoint, trained_learner
from metapipe.store import TaskStore, default_url, schema
from metapipe.store.engine import connect
from metapipe.training.evaluation import evaluate as episodes_of
from metapipe.training.intervals import summarise

SETTINGS = {
    "run.dataset": "digits",
    "run.model": "mlp",
    "model.layers": [8],
    "task.queries": 3,
    "training.tasks": 2,
    "training.mapping": "loop",
    "training.iterations": 12,
    "training.log_every": 4,
    "training.validate_every": 6,
    "training.validation_episodes": 4,
    "evaluation.episodes": 5,
}


class Watcher:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple] = []

    @hookimpl
    def run_started(self, run) -> None:
        self.told.append(("started", run.step))

    @hookimpl
    def step_recorded(self, run, step, metrics) -> None:
        self.told.append(("step", step, "val_loss" in metrics))

    @hookimpl
    def episodes_recorded(self, run, episodes) -> None:
        kinds = {(record.task.split, record.step) for record in episodes}
        self.told.append(("episodes", len(episodes), *kinds))

    @hookimpl
    def checkpoint_saved(self, run, checkpoint) -> None:
        self.told.append(("checkpoint", checkpoint.path.name.split("-")[0]))

    @hookimpl
    def run_finished(self, run, status, metrics) -> None:
        self.told.append(("finished", status, "test_accuracy" in metrics))

    @hookimpl
    def run_failed(self, run, error) -> None:
        self.told.append(("failed", type(error).__name__))


class Broken:
    @hookimpl
    def step_recorded(self, run, step) -> None:
        raise RuntimeError("somebody's bug")


class Stopper:
    @hookimpl
    def stop_run(self, run, step, metrics) -> str | None:
        return "enough is known" if step >= 8 else None


def run(folder: Path, observers, **settings):
    registry = load()
    given = {**SETTINGS, **settings}
    experiment = resolve(Project(folder), registry, list(given.items())).experiment
    with TaskStore.open(default_url(folder)) as store:
        return train(experiment, registry, store, folder, observers=observers)


def test_each_hook_is_told_in_order(tmp_path) -> None:
    watcher = Watcher()
    outcome = run(tmp_path, [watcher])
    assert outcome.status == "completed"
    assert watcher.told == [
        ("started", 0),
        ("step", 4, False),
        ("episodes", 2, ("train", 4)),
        ("step", 6, False),
        ("episodes", 2, ("train", 6)),
        ("episodes", 4, ("val", 6)),
        ("step", 6, True),
        ("checkpoint", "best"),
        ("step", 8, False),
        ("episodes", 2, ("train", 8)),
        ("step", 12, False),
        ("episodes", 2, ("train", 12)),
        ("episodes", 4, ("val", 12)),
        ("step", 12, True),
        *(
            [("checkpoint", "best")]
            if ("checkpoint", "best") in watcher.told[9:]
            else []
        ),
        ("checkpoint", "latest"),
        ("episodes", 5, ("test", watcher.told[-2][2][1])),
        ("finished", "completed", True),
    ]


def test_an_error_is_told_and_raised(tmp_path) -> None:
    watcher = Watcher()
    with pytest.raises(Exception, match=r"lower training\.lr"):
        run(tmp_path, [watcher], **{"training.lr": 1e30})
    assert watcher.told[-1] == ("failed", "DivergedError")


def test_a_broken_observer_is_reported_once_and_costs_no_run(tmp_path, caplog) -> None:
    watcher = Watcher()
    outcome = run(tmp_path, [Broken(), watcher])
    assert outcome.status == "completed"
    assert caplog.text.count("somebody's bug") == 1
    assert ("finished", "completed", True) in watcher.told


def test_what_one_run_was_handed_is_no_plugin_of_the_next(tmp_path) -> None:
    first, second = Watcher(), Watcher()
    run(tmp_path, [first], **{"training.iterations": 4, "training.validate_every": 0})
    count = len(first.told)
    run(tmp_path, [second], **{"training.iterations": 4, "training.validate_every": 0})
    assert len(first.told) == count
    assert second.told


def test_an_observer_stops_a_run_which_can_go_on(tmp_path) -> None:
    watcher = Watcher()
    outcome = run(tmp_path, [Stopper(), watcher])
    assert (outcome.status, outcome.step) == ("stopped", 8)
    assert outcome.evaluation is None
    assert watcher.told[-2:] == [
        ("checkpoint", "latest"),
        ("finished", "stopped", False),
    ]
    with TaskStore.open(default_url(tmp_path)) as store:
        (row,) = store.runs("status=stopped")
        assert row.step == 8
        assert not [e for e in store.evaluations(row.id) if e.purpose == "test"]
        done = resume(row.id, load(), store)
        assert (done.status, done.step) == ("completed", 12)
        whole = run(tmp_path / "whole", [])
        assert done.evaluation.accuracy == whole.evaluation.accuracy
        assert done.evaluation.loss == whole.evaluation.loss


def test_patience_ends_a_training_that_no_longer_gets_better(tmp_path) -> None:
    """With a step size of nearly nothing no validation is better than the first."""
    still = {"training.lr": 1e-12, "training.patience": 2}
    every = {"training.iterations": 30, "training.validate_every": 3}
    outcome = run(tmp_path, [], **still, **every)
    assert (outcome.status, outcome.step) == ("stopped", 9)


def test_a_curve_over_steps_is_that_of_evaluations_with_so_many(tmp_path) -> None:
    outcome = run(tmp_path, [])
    registry = load()
    with TaskStore.open(default_url(tmp_path)) as store:
        row = store.run(outcome.run_id)
        plain = Experiment.from_dict(row.config, registry)
        source = plain.dataset.open("test")
        recipes = tasks("digits", "test", 0, 0, 6, 5, 1, 3)
        checkpoint = stored_checkpoint(store, row, "latest")

        def summary(**settings):
            changed = plain.with_algorithm(registry, settings)
            learner, meta = trained_learner(changed, checkpoint, row)
            return summarise(list(episodes_of(learner, meta, source, recipes, step=0)))

        curve = summary(test_steps=3, curve=True)
        assert set(curve.curves) == {"loss_by_step", "accuracy_by_step"}
        for steps, point in enumerate(curve.curves["loss_by_step"]):
            alone = summary(test_steps=steps)
            assert point == pytest.approx((alone.loss, alone.loss_ci95), rel=1e-5)
        assert curve.loss == pytest.approx(summary(test_steps=3).loss, rel=1e-6)
        assert curve.loss_before == pytest.approx(summary(test_steps=0).loss, rel=1e-6)


class Thief:
    """Takes the run over after step 8, as if it had been silent on another machine."""

    def __init__(self, url: str) -> None:
        self.url = url

    @hookimpl
    def step_recorded(self, run, step) -> None:
        if step == 8:
            database = connect(self.url)
            long_ago = datetime.now(UTC) - timedelta(minutes=2)
            table = schema.Run
            with database.begin() as connection:
                silent = {"host": "elsewhere", "heartbeat": long_ago}
                connection.execute(update(table).values(silent))
            database.dispose()
            with TaskStore.open(self.url) as store:
                store.reopen_run(run.id, host="there", pid=7, step=6)


def test_a_run_that_was_taken_over_is_left_as_it_is(tmp_path) -> None:
    watcher, url = Watcher(), default_url(tmp_path)
    with pytest.raises(ClaimError, match="taken over by process 7 on there"):
        run(tmp_path, [watcher, Thief(url)])
    assert watcher.told[-1] == ("failed", "ClaimError")
    with TaskStore.open(url) as store:
        row = store.run(1)
        assert (row.status, row.pid, row.step, row.error) == ("running", 7, 6, None)
        assert {m.step for m in store.metrics(1)} == {4, 6}
        assert {e.step for e in store.episodes(1)} == {4, 6}


@pytest.mark.parametrize("observer", [object(), Stopper])
def test_what_observes_nothing_is_refused(tmp_path, observer) -> None:
    with pytest.raises(SettingError, match="observes nothing: give an object whose"):
        run(tmp_path, [observer])


@pytest.mark.parametrize("mapping", ["loop", "vmap", "threads"])
def test_a_run_is_trained_and_judged_in_its_precision(tmp_path, mapping) -> None:
    """Not the figures of float32, and near them; the same again when evaluated."""
    small = {"training.iterations": 4, "training.validate_every": 0}
    given = {**small, "training.mapping": mapping}
    exact = run(tmp_path, [], **given)
    cast = run(tmp_path, [], **given, **{"run.precision": "bfloat16"})
    assert cast.metrics["loss"] != exact.metrics["loss"]
    assert cast.metrics["loss"] == pytest.approx(exact.metrics["loss"], rel=0.02)
    assert cast.evaluation.loss != exact.evaluation.loss
    again = metapipe.evaluate(cast.run_id, project=tmp_path)
    assert again.loss == cast.evaluation.loss
