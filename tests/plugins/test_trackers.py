"""Trackers have what the store has, once, by their own readers; also of a run that was
killed and went on."""

import os
import struct
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import metapipe
from metapipe import DataError, SettingError, TaskStore, hookimpl
from metapipe.store import default_url
from metapipe.testing import ObserverContract
from metapipe_plugins.observers.mlflow import MLflow
from metapipe_plugins.observers.tensorboard import TensorBoard
from metapipe_plugins.observers.wandb import Wandb

SMALL = {
    "run.model": "mlp",
    "model.layers": [8],
    "task.queries": 3,
    "training.tasks": 2,
    "training.log_every": 2,
    "training.checkpoint_every": 6,
    "training.validate_every": 6,
    "training.validation_episodes": 4,
    "evaluation.episodes": 5,
}
CLOCK = "episodes_per_second"
PLUGINS = Path(metapipe.__file__).parents[1] / "plugins/metapipe_plugins/observers"


def needs(name: str, package: str | None = None):
    there = find_spec(package or name) is not None
    return pytest.mark.skipif(not there, reason=f"pip install 'metapipe[{name}]'")


needs_tensorboard, needs_mlflow, needs_wandb = map(
    needs, ("tensorboard", "mlflow", "wandb")
)


class Killed:
    """Ends a run as a kill does, when figures behind its checkpoint are told."""

    @hookimpl
    def step_recorded(self, step) -> None:
        if step == 10:
            raise SystemExit("killed")


def killed_and_resumed(folder: Path, name: str, settings: dict) -> TaskStore:
    """A run of 12 iterations that died after 10, and went on from 6."""
    where = {"project": folder, "progress": False}
    with pytest.raises(SystemExit):
        metapipe.train(
            **where,
            dataset="digits",
            plugin="protonet",
            iterations=12,
            mapping="loop",
            name="a | name",
            tags=["paper", "first"],
            note="see <b>this</b>",
            settings=SMALL | settings,
            observers=[name, Killed()],
        )
    assert metapipe.resume(**where).status == "completed"
    return TaskStore.open(default_url(folder))


def recorded(store: TaskStore) -> dict[tuple[str, int], float]:
    """What the store has of run 1, as trackers name it."""
    found = {
        (row.name, row.step): row.value
        for row in store.metrics(1)
        if row.name != CLOCK and not row.name.startswith("val_")
    }
    for row in store.evaluations(1):
        step = 12 if row.purpose == "test" else row.step  # of the best, told at the end
        for name in ("loss", "accuracy"):
            found[f"{row.split}_{name}", step] = getattr(row, name)
            half = getattr(row, f"{name}_ci95")
            found[f"{row.split}_{name}_ci95", step] = half
    assert len(found) == 6 * 4 + 3 * 4  # six records of four figures, three evaluations
    return found


def checkpoints(store: TaskStore) -> dict[str, str]:
    return {f"checkpoint-{row.which}": row.path for row in store.checkpoints(1)}


@needs_tensorboard
def test_tensorboard_has_what_the_store_has(tmp_path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = {"observer.tensorboard.folder": str(tmp_path / "events")}
    with killed_and_resumed(tmp_path, "tensorboard", folder) as store:
        (place,) = (tmp_path / "events").iterdir()
        assert place.name.endswith(Path(store.run(1).directory).name)
        events = EventAccumulator(str(place))
        events.Reload()
        tags = [tag for tag in events.Tags()["scalars"] if tag != CLOCK]
        told = [(tag, e.step, e.value) for tag in tags for e in events.Scalars(tag)]
        wanted = recorded(store)
        assert sorted(each[:2] for each in told) == sorted(wanted)  # and none twice
        for tag, step, value in told:
            assert value == pytest.approx(wanted[tag, step], rel=1e-6)

        def texts(name: str) -> list[str]:
            found = events.Tensors(f"{name}/text_summary")
            return [e.tensor_proto.string_val[0].decode() for e in found]

        assert texts("status") == ["failed", "completed"]
        for name, path in checkpoints(store).items():
            assert texts(name)[-1] == path
        (about,) = texts("run")
        assert "| training.lr | 0.001 |" in about
        assert "| run | a \\| name |" in about
        assert "| tags | first, paper |" in about


@needs_mlflow
@pytest.mark.filterwarnings("default")  # MLflow's own
def test_mlflow_has_what_the_store_has(tmp_path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with killed_and_resumed(tmp_path, "mlflow", {"observer.mlflow.uri": uri}) as store:
        client = MlflowClient(tracking_uri=uri)
        known = client.get_experiment_by_name("metapipe")
        (run,) = client.search_runs([known.experiment_id])
        assert (run.info.run_name, run.info.status) == ("a | name", "FINISHED")
        told = [
            ((metric.key, metric.step), metric.value)
            for name in run.data.metrics
            if name != CLOCK
            for metric in client.get_metric_history(run.info.run_id, name)
        ]
        assert len(told) == len(dict(told))
        assert dict(told) == recorded(store)
        assert run.data.params["training.lr"] == "0.001"
        assert run.data.params["task.ways"] == "5"
        tags = run.data.tags
        assert tags["mlflow.note.content"] == "see <b>this</b>"
        assert tags["metapipe.tags"] == "first, paper"
        assert tags["metapipe.status"] == "completed"
        for name, path in checkpoints(store).items():
            assert tags[f"metapipe.{name}"] == path


@needs_wandb
@pytest.mark.filterwarnings("default")  # W&B's own
def test_wandb_has_what_the_store_has(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    with killed_and_resumed(tmp_path, "wandb", {}) as store:
        directory = Path(store.run(1).directory)
        files = sorted(directory.glob("wandb/offline-run-*/*.wandb"))
        records = [list(wandb_records(file)) for file in files]
        for each in records:
            (run,) = (r.run for r in each if r.HasField("run"))
            assert (run.run_id, run.display_name) == (directory.name, "a | name")
            assert (set(run.tags), run.notes) == ({"first", "paper"}, "see <b>this</b>")
        first, last = (list(history(each)) for each in records)
        assert {step for step, _ in first} == {2, 4, 6, 8}
        assert {step for step, _ in last} == {8, 10, 12}
        told = {(k, step): v for step, row in first + last for k, v in row.items()}
        told = {k: v for k, v in told.items() if k[0][0] != "_" and k[0] != CLOCK}
        assert told == recorded(store)
        codes = [
            r.exit.exit_code for each in records for r in each if r.HasField("exit")
        ]
        assert codes == [1, 0]  # it failed, then completed


def wandb_records(file: Path) -> Iterator:
    """The records of an offline file: those of a log of LevelDB, behind 7 bytes."""
    from wandb.proto import wandb_internal_pb2

    content, place, part = file.read_bytes(), 7, b""
    while place + 7 <= len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        part += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(part)
            yield record
            part = b""


def history(records: list) -> Iterator[tuple[int, dict]]:
    import json

    for record in records:
        if record.HasField("history"):
            items = record.history.item
            row = {i.key or i.nested_key[0]: json.loads(i.value_json) for i in items}
            yield int(row.pop("_step", record.history.step.num)), row


def test_a_password_is_no_setting_and_is_not_printed() -> None:
    from metapipe.experiment.registry import load

    with pytest.raises(SettingError) as caught:
        load((PLUGINS / "mlflow.py",)).create(
            "observer", "mlflow", {"uri": "https://me:s3cret@host"}
        )
    assert "MLFLOW_TRACKING_PASSWORD" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("observer", [TensorBoard(), MLflow(), Wandb(mode="offline")])
def test_what_is_not_installed_is_named(observer, monkeypatch) -> None:
    name = type(observer).__name__.lower()
    monkeypatch.setattr("metapipe_plugins.parts.tracking.find_spec", lambda _: None)
    with pytest.raises(DataError, match=rf"{name} .*pip install 'metapipe\[{name}\]'"):
        observer.check()


@needs_wandb
@pytest.mark.filterwarnings("default")  # W&B's own
def test_nobody_logged_in_is_told_before_a_run(monkeypatch, tmp_path) -> None:
    for variable in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", os.devnull)
    with pytest.raises(DataError, match="wandb login"):
        Wandb().check()


@needs_tensorboard
class TestTensorBoard(ObserverContract):
    observer = TensorBoard()
