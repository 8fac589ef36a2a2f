"""The commands as functions: the same project, names, values and bits as commands."""

import threading
from pathlib import Path

import pytest
import torch
from commands import TINY, metapipe, metapipe_json

import metapipe as library
from metapipe import TaskStore, UsageError, hookimpl
from metapipe.errors import NotFoundError, SettingError, StoreError, UnknownNameError
from metapipe.runs.progress import Lines, display
from metapipe.store import default_url
from metapipe.training.checkpoint import load

OPTIONS = {
    "dataset": "digits",
    "model": "mlp",
    "ways": 3,
    "queries": 4,
    "tasks": 4,
    "mapping": "loop",
    "validation_episodes": 10,
    "iterations": 12,
    "validate_every": 6,
    "lr": 0.01,
}
SETTINGS = {
    "model.layers": [16],
    "evaluation.episodes": 20,
    "algorithm.inner_lr": 0.1,
}
COMMAND = (
    *("train", "--plugin", "maml", *TINY, "--iterations", "12", "--lr", "0.01"),
    *("--validate-every", "6", "-s", "algorithm.inner_lr=0.1"),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run 1 by the command, run 2 by the function."""
    folder = tmp_path_factory.mktemp("notebook")
    metapipe(*COMMAND, cwd=folder)
    quiet = {"project": folder, "progress": False}
    library.train(plugin="maml", settings=SETTINGS, **OPTIONS, **quiet)
    return folder


def tensors(folder: Path, run_id: int) -> dict[str, torch.Tensor]:
    with TaskStore.open(default_url(folder)) as store:
        (latest,) = [c for c in store.checkpoints(run_id) if c.which == "latest"]
    return dict(load(Path(latest.path), latest.sha256).file.tensors)


def test_a_training_is_that_of_the_command_bit_for_bit(project: Path) -> None:
    one, two = tensors(project, 1), tensors(project, 2)
    assert set(one) == set(two)
    assert all(torch.equal(one[name], two[name]) for name in one)
    compared = metapipe_json("runs", "compare", "1", "2", cwd=project)
    assert compared["differences"] == {}
    figures = [
        {n: row["metrics"][n] for n in ("loss", "test_loss", "test_accuracy")}
        for row in compared["runs"]
    ]
    assert figures[0] == figures[1]


def test_an_evaluation_is_that_of_the_command(project: Path) -> None:
    changed = ("-s", "algorithm.test_steps=3", "-s", "dataset.rotations=false")
    asked = ("--split", "train", "--episodes", "15", "--seed", "7")
    one = metapipe_json("evaluate", "1", *asked, *changed, cwd=project)
    two = library.evaluate(
        1,
        split="train",
        episodes=15,
        seed=7,
        settings={"algorithm.test_steps": 3, "dataset.rotations": False},
        project=project,
    )
    assert (two.loss, two.accuracy) == (one["loss"], one["accuracy"])
    assert two.settings == one["settings"]
    assert two.id == one["id"] + 1


def test_a_run_is_repeated_with_a_change(project: Path) -> None:
    again = library.train(from_run=1, iterations=3, project=project, progress=False)
    assert (again.status, again.step) == ("completed", 3)
    with TaskStore.open(default_url(project)) as store:
        row = store.run(again.run_id)
    assert row.parent_id == 1
    assert row.config["algorithm"]["inner_lr"] == 0.1


@pytest.mark.parametrize(
    ("asked", "kind", "message"),
    [
        ({"iteration": 3}, SettingError, "no option 'iteration'; did you mean 'iter"),
        ({"plugin_path": "x.py"}, SettingError, "did you mean 'plugin_paths'?"),
        ({"plugin": "maml", "algorithm": "anil"}, SettingError, "given twice"),
        ({"lr": 0}, SettingError, r"training.lr = 0 \(argument\): should be greater"),
        ({"lr": "fast"}, SettingError, r"training.lr = 'fast' \(argument\)"),
        ({"plugin": "mamll"}, UnknownNameError, "did you mean 'maml'?"),
        ({"settings": {"lr": 1}}, SettingError, "'lr' is no setting"),
        ({"settings": {"trainin.lr": 1}}, SettingError, "did you mean 'training'?"),
        ({"settings": {"algorithm.iner_lr": 1}}, SettingError, r"iner_lr' \(argument"),
        ({"settings": {"model.conv4.width": 1}}, SettingError, "the model is 'mlp'"),
        ({"from_run": 99}, NotFoundError, "no run '99'"),
        ({"project": "nowhere"}, SettingError, "cannot read .*nowhere"),
        ({"db": "sqlite:///no.db", "from_run": 1}, StoreError, "no task store at"),
        ({"observers": 3}, SettingError, "observers = 3"),
        ({"settings": 3}, SettingError, "settings = 3"),
    ],
)
def test_a_mistake_is_an_error_of_one_line(
    project: Path, monkeypatch, asked, kind, message
) -> None:
    monkeypatch.chdir(project)
    with TaskStore.open(default_url(project)) as store:
        before = len(store.runs())
        with pytest.raises(kind, match=message) as raised:
            library.train(**{"model": "mlp", "progress": False, **asked})
        assert "\n" not in str(raised.value)
        assert len(store.runs()) == before


def test_other_functions_refuse_in_a_line_too(project: Path) -> None:
    with pytest.raises(UsageError, match="completed and cannot be resumed"):
        library.resume(1, project=project)
    with pytest.raises(SettingError, match=r"takes dataset\.NAME and"):
        library.evaluate(1, settings={"training.lr": 1}, project=project)
    with pytest.raises(SettingError, match="'episode'; did you mean 'episodes'"):
        library.evaluate(1, episode=3, project=project)
    with pytest.raises(SettingError, match=r"episodes = 0 \(argument\)"):
        library.evaluate(1, episodes=0, project=project)


class Interrupts:
    """Presses Ctrl-C where no handler of ours is: in another thread there is none."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    @hookimpl
    def step_recorded(self, step: int) -> None:
        self.steps.append(step)
        if len(self.steps) == 2:
            raise KeyboardInterrupt


def test_an_interrupted_cell_leaves_a_run_to_go_on_with(tmp_path: Path) -> None:
    quick = {**OPTIONS, "log_every": 2, "checkpoint_every": 1}
    caught: list[BaseException] = []

    def cell() -> None:
        try:
            library.train(
                plugin="maml",
                settings=SETTINGS,
                observers=[Interrupts()],
                progress=False,
                project=tmp_path,
                **quick,
            )
        except KeyboardInterrupt as error:
            caught.append(error)

    thread = threading.Thread(target=cell)
    thread.start()
    thread.join()
    assert caught
    with TaskStore.open(default_url(tmp_path)) as store:
        assert store.run("latest").status == "interrupted"
    watcher = Interrupts()
    watcher.steps = [0, 0]
    went_on = library.resume(project=tmp_path, observers=[watcher], progress=False)
    assert (went_on.status, went_on.step) == ("completed", 12)
    assert watcher.steps[2:]


def test_progress_is_plain_lines_where_there_is_no_terminal(
    tmp_path: Path, capsys
) -> None:
    assert isinstance(display(), Lines)
    asked = {"settings": SETTINGS, "project": tmp_path, **OPTIONS, "iterations": 3}
    library.train(plugin="maml", **asked)
    out, err = capsys.readouterr()
    assert "run 1: 3 iterations" in err
    assert "run 1 completed" in err
    library.train(plugin="maml", progress=False, **asked)
    quiet = capsys.readouterr()
    assert (out, *quiet) == ("", "", "")


@pytest.mark.parametrize(
    ("function", "slip", "meant"),
    [
        (library.train, "iteration", "iterations"),
        (library.resume, "projct", "project"),
        (library.evaluate, "episode", "episodes"),
        (library.adapt, "suport", "support"),
        (library.predict, "projct", "project"),
        (library.load_adapted, "devise", "device"),
    ],
)
def test_a_slip_in_an_option_is_told_of(function, slip: str, meant: str) -> None:
    with pytest.raises(SettingError, match=f"'{slip}'; did you mean '{meant}'"):
        function(**{slip: 1})
