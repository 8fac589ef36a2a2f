"""Every command sees the project's own: plugins of `[plugins] paths`, the tables of
its data sets, and its store."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from commands import error_line, metapipe, metapipe_json
from pictures import write_classes

from metapipe.cli.main import COMMANDS

PLUGIN = '''
from metapipe import hookimpl
from metapipe_plugins.algorithms.protonet import ProtoNet
from metapipe_plugins.datasets.digits import Digits
from metapipe_plugins.models.mlp import MLP


class MyNet(ProtoNet):
    """My algorithm."""


class MyModel(MLP):
    """My model."""


class MyDigits(Digits):
    """My data."""


@hookimpl
def register_algorithms(register):
    register("my-net", MyNet)


@hookimpl
def register_models(register):
    register("my-mlp", MyModel)


@hookimpl
def register_datasets(register):
    register("my-digits", MyDigits)
'''
CONFIG = """
[plugins]
paths = ["plugins/mine.py"]
[store]
url = "sqlite:///STORE"
[run]
algorithm = "my-net"
model = "my-mlp"
dataset = "my-digits"
[dataset.my-digits]
rotations = false
[dataset.image-folder]
root = "PICTURES"
[model.my-mlp]
layers = [8]
[task]
ways = 2
queries = 3
[training]
iterations = 4
tasks = 2
checkpoint_every = 2
validate_every = 0
mapping = "loop"
[evaluation]
episodes = 4
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project all of whose plugins are files; commands run in a folder below it."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "below").mkdir()
    (folder / "plugins").mkdir()
    (folder / "plugins" / "mine.py").write_text(PLUGIN)
    pictures = write_classes(folder / "pictures", dict.fromkeys("abcdefghij", 4))
    text = CONFIG.replace("STORE", str(store(folder)))
    (folder / "metapipe.toml").write_text(text.replace("PICTURES", str(pictures)))
    metapipe("train", cwd=folder / "below")
    model = ("--support", str(pictures), "--out", "m.metapipe")
    metapipe("adapt", "1", *model, cwd=folder / "below")
    return folder


def store(folder: Path) -> Path:
    return folder / "own.db"


USES = {
    "train": ("train",),
    "resume": ("resume", "1"),
    "evaluate": ("evaluate", "1"),
    "adapt": ("adapt", "1", "--support", "../pictures"),
    "predict": ("predict", "m.metapipe", "../pictures"),
    "export": ("export", "m.metapipe", "--torch", "m.pt2"),
    "sweep": (
        *("sweep", "tune", "--trials", "1", "--quiet", "--validate-every", "4"),
        *("--validation-episodes", "2", "--space", "training.lr=[0.01]"),
    ),
    "show": ("show", "m.metapipe"),
    "runs": ("runs", "show", "1"),
    "episodes": ("episodes", "show", "5"),
    "plugins": ("plugins", "show", "my-net"),
    "datasets": ("datasets", "show", "my-digits"),
    "db": ("db", "current"),
}
"""A use of each command that cannot go well without the project's own."""


def test_every_command_is_among_them() -> None:
    goes_on = {"ui"}  # until it is ended; its tests see what it shows
    assert set(USES) == set(COMMANDS) - {"completion"} - goes_on


@pytest.mark.parametrize("command", USES)
def test_a_command_sees_the_projects_plugins_and_store(
    project: Path, command: str
) -> None:
    if command == "resume":
        with closing(sqlite3.connect(store(project))) as connection, connection:
            connection.execute("UPDATE runs SET status = 'interrupted' WHERE id = 1")
    found = json.dumps(metapipe_json(*USES[command], cwd=project / "below"))
    assert found != "[]"
    assert not (project / ".metapipe" / "metapipe.db").exists()
    assert not (project / "below" / ".metapipe").exists()


def test_a_data_set_is_shown_with_the_projects_settings(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = ("datasets", "show")
    found = metapipe_json(*show, "my-digits", cwd=project)
    assert found["settings"]["rotations"] is False
    found = metapipe_json(*show, "image-folder", cwd=project)
    assert found["splits"][0]["items"] == 24
    monkeypatch.setenv("METAPIPE_DATASET__MY-DIGITS__ROTATIONS", "true")
    found = metapipe_json(*show, "my-digits", cwd=project)
    assert found["settings"]["rotations"] is True
    monkeypatch.setenv("METAPIPE_DATASET__ROTATIONS", "false")
    said = ("-s", "dataset.rotations=true")
    found = metapipe_json(*show, "my-digits", *said, cwd=project)
    assert found["settings"]["rotations"] is True, "the command line is above all"


def test_a_setting_of_the_file_that_is_wrong_says_so(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METAPIPE_DATASET__MY-DIGITS__ROTATION", "true")
    line = error_line("datasets", "show", "my-digits", cwd=project, code=2)
    assert "(METAPIPE_DATASET__MY-DIGITS__ROTATION)" in line
    assert "did you mean 'rotations'?" in line


def test_another_data_set_to_evaluate_on_has_the_projects_settings(
    project: Path,
) -> None:
    """Its folder is in the file; and its episodes are drawn again by what was kept."""
    asked = ("evaluate", "1", "--dataset", "image-folder", "--queries", "1")
    found = metapipe_json(*asked, cwd=project)
    assert found["settings"]["dataset.root"] == str(project / "pictures")
    rows = metapipe_json(
        *("episodes", "list", "1", "--where", f"evaluation_id={found['id']}"),
        cwd=project,
    )
    shown = metapipe_json("episodes", "show", str(rows[0]["id"]), cwd=project)
    assert shown["accuracy_now"] == pytest.approx(shown["accuracy"])


@pytest.mark.parametrize(
    ("command", "code"),
    [(("runs", "list"), 0), (("db", "current"), 0), (("runs", "show", "1"), 1)],
)
def test_who_only_asks_leaves_nothing_behind(
    tmp_path: Path, command: tuple[str, ...], code: int
) -> None:
    metapipe(*command, cwd=tmp_path, code=code)
    assert list(tmp_path.iterdir()) == []


def test_the_store_is_relative_to_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "metapipe.toml").write_text('[store]\nurl = "sqlite:///kept/m.db"\n')
    below = tmp_path / "below"
    below.mkdir()
    metapipe("db", "upgrade", cwd=below)
    assert (tmp_path / "kept" / "m.db").is_file()
    assert list(below.iterdir()) == []
    metapipe("--db", "own.db", "db", "upgrade", cwd=below)
    assert (below / "own.db").is_file()
