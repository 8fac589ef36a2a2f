"""How often a network is built: once a command, and its first values are asked for by
a new training only."""

import shutil
from pathlib import Path

import pytest
from commands import metapipe
from sqlalchemy import update

from metapipe.data import ImageEncoder
from metapipe.store import TaskStore, default_url, schema
from metapipe.store.engine import connect

COUNTED = '''
"""The perceptron, which writes down what is asked of it."""

import math
import os

import torch
from torch import nn

from metapipe import Model, hookimpl


class Counted(Model):
    """Two layers."""

    def build(self, shape, outputs, statistics):
        """(n, *shape) -> (n, outputs), or features (n, 8)."""
        real = torch.empty(0).device.type != "meta"
        self.note("built" if real else "structure")
        network = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 8))
        if outputs is not None:
            network.add_module("head", nn.Linear(8, outputs))
        return network

    def initialise(self, network):
        """Nothing but a note of it."""
        self.note("initialised")

    def note(self, what):
        """In a file."""
        with open(os.environ["COUNTED"], "a") as file:
            file.write(what + " ")


@hookimpl
def register_models(register):
    """Offer it."""
    register("counted", Counted)
'''


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """With the plugin, a run, and an episode as pictures."""
    folder = tmp_path_factory.mktemp("builds")
    (folder / "counted.py").write_text(COUNTED)
    return folder


class Counting:
    """Commands in a folder, by what they asked of the model."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self.folder, self.notes = folder, folder / "notes"
        monkeypatch.setenv("COUNTED", str(self.notes))

    def __call__(self, *arguments: str) -> str:
        self.notes.write_text("")
        plugin = ("--plugin-path", str(self.folder / "counted.py"))
        metapipe(*plugin, *arguments, cwd=self.folder)
        return self.notes.read_text().strip()


@pytest.mark.parametrize(
    ("algorithm", "change"), [("maml", "test_steps=2"), ("protonet", "")]
)
def test_each_command_builds_once(project, monkeypatch, algorithm, change) -> None:
    asked = Counting(project, monkeypatch)
    options = (
        *("--plugin", algorithm, "--model", "counted", "--dataset", "digits"),
        *("--ways", "3", "--queries", "3", "--tasks", "2", "--mapping", "loop"),
        *("-s", "evaluation.episodes=4", "--validation-episodes", "4"),
        *("--validate-every", "2", "--checkpoint-every", "2"),
    )
    found = asked("train", *options, "--iterations", "4", "--name", algorithm)
    assert found == "built initialised structure"  # the test opens the checkpoint
    assert asked("evaluate", algorithm) == "structure"
    if change:  # is it where a learned value begins? Two beginnings are compared
        found = asked("evaluate", algorithm, "-s", f"algorithm.{change}")
        assert sorted(found.split()) == ["built", "built", "structure"]
    support = pictures(project / "support")
    out = str(project / "x.metapipe")
    adapt = ("adapt", algorithm, "--support", str(support))
    assert asked(*adapt, "--out", out) == "structure"
    assert asked("predict", out, str(support)) == "structure"
    assert asked("export", out, "--torch", str(project / "x.pt2")) == "structure"
    with TaskStore.open(default_url(project)) as store:
        run = store.run(algorithm).id
        episode = store.episodes(run, where="purpose=test")[0]
    assert asked("episodes", "show", str(episode.id)) == "structure"
    engine = connect(default_url(project))
    with engine.begin() as connection:
        done = update(schema.Run).where(schema.Run.id == run)
        connection.execute(done.values(status="interrupted"))
    engine.dispose()
    assert asked("resume", algorithm) == "structure structure"  # and the test opens it


def pictures(folder: Path) -> Path:
    """Three classes of two noisy pictures."""
    from PIL import Image

    shutil.rmtree(folder, ignore_errors=True)
    examples = ImageEncoder(height=8, width=8, channels=1, fit="crop").examples(6)
    for number, picture in enumerate(examples):
        place = folder / f"class {number % 3}" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((picture[0] * 255).byte().numpy()).save(place)
    return folder
