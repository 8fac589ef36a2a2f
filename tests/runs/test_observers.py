"""What observers are told of a run, in order; and that they can stop it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

import metapipe
from metapipe import hookimpl
from metapipe.data.sampling import tasks
from metapipe.errors import ClaimError, SettingError, StoreError, UsageError
from metapipe.experiment.experiment import Experiment
from metapipe.experiment.project import Project, find_project
from metapipe.experiment.registry import load
from metapipe.experiment.resolve import resolve
from metapipe.runs.comparison import differences
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
    def __init__(self) -> None:
        self.told: list[str] = []

    @hookimpl
    def step_recorded(self, run, step) -> None:
        self.told.append("step_recorded")
        raise RuntimeError("somebody's bug,\nhttp://me:s3cret@host")

    @hookimpl
    def run_finished(self) -> None:
        self.told.append("run_finished")


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
    """The others, before and after it, hear all; it hears of the end."""
    first, last, broken = Watcher(), Watcher(), Broken()
    outcome = run(tmp_path, [first, broken, last])
    assert outcome.status == "completed"
    (line,) = [m for m in caplog.messages if "somebody's bug" in m]
    assert line == (
        "observer Broken is told of run 1 no more but its end, and the run goes on: "
        "step_recorded raised RuntimeError: somebody's bug, http://me:***@host"
    )
    assert first.told == last.told
    assert ("finished", "completed", True) in last.told
    assert broken.told == ["step_recorded", "run_finished"]


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


def test_patience_that_ended_while_the_store_was_away_ends_it_all_the_same(
    tmp_path, monkeypatch
) -> None:
    still = {"training.lr": 1e-12, "training.patience": 2}
    every = {"training.iterations": 30, "training.validate_every": 3}
    record = TaskStore.record_metrics

    def away(self, run_id, step, *figures) -> None:
        if step == 9:
            raise StoreError("away")
        record(self, run_id, step, *figures)

    monkeypatch.setattr(TaskStore, "record_metrics", away)
    with pytest.raises(StoreError):
        run(tmp_path, [], **still, **every)
    monkeypatch.undo()
    with TaskStore.open(default_url(tmp_path)) as store:
        outcome = resume(1, load(), store)
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


class Notes:
    """Keeps what it is told of evaluations, and of the run."""

    @hookimpl
    def evaluation_recorded(self, run, evaluation) -> None:
        self.run, self.evaluation = run, evaluation


def test_evaluations_are_told_as_they_are_stored(tmp_path) -> None:
    notes = Notes()
    outcome = run(tmp_path, [notes])
    told, row = notes.evaluation, outcome.evaluation
    for name in ("purpose", "dataset", "split", "step", "episodes", "ways", "shots"):
        assert getattr(told, name) == getattr(row, name)
    assert told.figures["loss"] == (row.loss, row.loss_ci95)
    assert told.figures["accuracy"] == (row.accuracy, row.accuracy_ci95)
    assert notes.run.settings["model.layers"] == [8]
    assert notes.run.identity == outcome.directory.name


ENDS = Path(__file__).parents[2] / "docs" / "examples" / "plugins" / "ends.py"


def test_an_observer_with_a_name_is_in_the_record_and_told_again_when_resumed(
    tmp_path, monkeypatch
) -> None:
    """Its settings are fields: from file, command line and Python alike."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metapipe.toml").write_text('[observer.ends]\nfile = "in-file.txt"\n')
    registry = load((ENDS,))
    given = {**SETTINGS, "run.observers": "ends"}
    found = resolve(find_project(start=tmp_path), registry, list(given.items()))
    place = str(tmp_path / "in-file.txt")
    assert found.experiment.observers == {"ends": {"file": place}}
    assert found.origins["observer.ends.file"] == str(tmp_path / "metapipe.toml")
    where = {"project": tmp_path, "plugin_paths": ENDS, "progress": False}
    few = SETTINGS | {"observer.file": "mine.txt"}
    stopped = metapipe.train(settings=few, observers=["ends", Stopper()], **where)
    assert stopped.status == "stopped"
    with TaskStore.open(default_url(tmp_path)) as store:
        config = store.run(1).config
        assert config["run"]["observers"] == ["ends"]
        assert config["observer.ends"] == {"file": str(tmp_path / "mine.txt")}
    metapipe.resume(**where)
    assert Path("mine.txt").read_text() == "1 None stopped\n1 None completed\n"
    again = metapipe.train(from_run=1, settings={"run.observers": []}, **where)
    with TaskStore.open(default_url(tmp_path)) as store:
        assert "observer.ends" not in store.run(again.run_id).config
        rows = [store.run(1), store.run(2)]
        assert differences(rows) == {}
        (group,) = store.groups(["dataset"])
        assert group.differs == ()


def test_a_run_goes_on_without_an_observer_that_is_gone(
    tmp_path, caplog, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    where = {"project": tmp_path, "progress": False}
    both = {"observers": ["ends", Stopper()], "plugin_paths": ENDS}
    metapipe.train(settings=SETTINGS, **both, **where)
    assert metapipe.resume(**where).status == "completed"
    (line,) = [m for m in caplog.messages if "ends" in m]
    assert line.startswith(
        "run 1 goes on without its observer ends: no observer plugin"
    )
    assert metapipe.evaluate(1, **where).loss > 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"run.observers": ["end"]}, "no observer plugin 'end'; did you mean 'ends'"),
        ({"observer.file": "x"}, "of which observer\\? It has none"),
        ({"observer.ends.file": "x"}, "the observers are none; name it by --observer"),
        (
            {"run.observers": ["ends"], "observer.ends.fil": "x"},
            r"unknown setting 'observer.ends.fil' \(argument\); did you mean 'file'",
        ),
    ],
)
def test_a_slip_about_observers_is_told(tmp_path, settings, words) -> None:
    with pytest.raises(UsageError, match=words):
        metapipe.train(
            settings=settings, project=tmp_path, plugin_paths=ENDS, progress=False
        )


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


@pytest.mark.parametrize("observers", ["nope", ["nope"], [Watcher(), "nope"]])
def test_a_run_that_goes_on_takes_objects_and_no_names(tmp_path, observers) -> None:
    said = "observers = 'nope': a run that goes on keeps .* give objects whose methods"
    with pytest.raises(SettingError, match=said):
        metapipe.resume(observers=observers, project=tmp_path)
