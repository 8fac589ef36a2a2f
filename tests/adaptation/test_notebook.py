"""New tasks from Python: what `metapipe adapt` and `predict` do, and the same bits."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import metapipe_json
from pictures import write_classes
from quick import quick_config, quick_run
from safetensors import safe_open
from safetensors.numpy import load_file

import metapipe
from metapipe import DataError, FewShotClassifier, TaskStore
from metapipe.errors import CheckpointError, SettingError
from metapipe.store import default_url


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run, and pictures of a new task."""
    folder = tmp_path_factory.mktemp("adapted")
    quick_run(folder, "protonet", ways=3, iterations=6)
    write_classes(folder / "shots", {"cat": 3, "dog": 2})
    write_classes(folder / "more", {"cat": 4, "dog": 5})
    return folder


def test_a_task_is_learned_as_by_the_command(project: Path) -> None:
    task = {"support": project / "shots", "query": str(project / "more")}
    found = metapipe.adapt(**task, out=project / "py.metapipe", project=project)
    told = metapipe_json(
        *("adapt", "latest", "--support", "shots", "--query", "more"),
        *("--out", "cli.metapipe"),
        cwd=project,
    )
    assert told["evaluation"] == found.evaluation + 1
    assert told["classes"] == found.counts == {"cat": 3, "dog": 2}
    assert found.query is not None
    for name in ("support", "query"):
        judged = getattr(found, name)
        assert (judged.loss, judged.accuracy) == (
            told[name]["loss"],
            told[name]["accuracy"],
        )
    assert _content(project / "py.metapipe") == _content(project / "cli.metapipe")
    with TaskStore.open(default_url(project)) as store:
        row = store.evaluation(found.evaluation)
    assert (row.purpose, row.accuracy) == ("adaptation", found.query.accuracy)


def _content(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """What an adapted file says and holds, but for the second in which it was made."""
    with safe_open(path, framework="numpy") as file:
        said = json.loads(file.metadata()["metapipe"])
    held = {name: array.tobytes() for name, array in load_file(path).items()}
    assert said["origin"].pop("created")
    return said, held


def test_files_are_predicted_as_by_the_command(project: Path, monkeypatch) -> None:
    monkeypatch.chdir(project)
    found = metapipe.adapt(support="shots", out="x.metapipe")
    rows = metapipe.predict("x.metapipe", "more")
    assert rows == metapipe_json("predict", "x.metapipe", "more", cwd=project)
    assert rows == metapipe.predict(found, ["more"])
    assert rows == metapipe.predict(found.model, [Path("more")])
    assert rows == metapipe.predict(metapipe.load_adapted("x.metapipe"), ["more"])
    assert len(rows) == 9
    assert {row["label"] for row in rows} <= {"cat", "dog"}


def test_what_cannot_be_read_is_left_out_and_told(project: Path, caplog) -> None:
    found = metapipe.adapt(support=project / "shots", project=project)
    (project / "broken.png").write_bytes(b"no picture")
    rows = metapipe.predict(found, [project / "broken.png", project / "more"])
    assert len(rows) == 9
    assert "skipped:" in caplog.text
    assert "broken.png" in caplog.text


@pytest.mark.parametrize(
    ("asked", "kind", "message"),
    [
        ({"support": "nothing"}, DataError, "nothing does not exist"),
        ({"checkpoint": "bst"}, SettingError, "did you mean 'best'?"),
        ({"prediction": "each"}, SettingError, "prediction = 'each'"),
        ({"settings": {"training.lr": 1}}, SettingError, r"takes algorithm\.NAME only"),
        ({"settings": {"algorithm.nope": 1}}, SettingError, "unknown setting"),
    ],
)
def test_a_mistake_is_an_error_of_one_line(project: Path, asked, kind, message) -> None:
    with pytest.raises(kind, match=message) as raised:
        metapipe.adapt(**{"support": project / "shots", **asked}, project=project)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_model_is_refused(project: Path) -> None:
    with pytest.raises(CheckpointError, match="is damaged, or no file of tensors"):
        metapipe.load_adapted(project / "metapipe.toml")


PLUGIN = '''
from metapipe import hookimpl
from metapipe_plugins.algorithms.protonet import ProtoNet


class Mine(ProtoNet):
    """Mine."""

    def predict(self, network, meta, params, inputs):
        return FACTOR * super().predict(network, meta, params, inputs)


@hookimpl
def register_algorithms(register):
    register("mine", Mine)
'''


def test_a_plugin_file_that_has_changed_is_loaded_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    outputs = []
    for number, factor in enumerate((1, 2)):
        path.write_text(PLUGIN.replace("FACTOR", str(factor)))
        os.utime(path, (number, number))
        registry = metapipe.load_plugins(path, project=tmp_path)
        entry = registry.entry("algorithm", "mine")
        outputs.append(entry.cls)
    assert outputs[0] is not outputs[1]
    assert metapipe.load_plugins([path]).entry("algorithm", "mine").cls is outputs[1]


def test_an_estimator_knows_the_projects_plugins(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN.replace("FACTOR", "1"))
    text = quick_config("mine", ways=3, iterations=6)
    text += '[plugins]\npaths = ["mine.py"]\n'
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    (tmp_path / "metapipe.toml").write_text(f'{text}[store]\nurl = "{url}"\n')
    metapipe.train(project=tmp_path, progress=False)
    assert not (tmp_path / ".metapipe" / "metapipe.db").exists()
    images = torch.rand(6, 1, 8, 8).numpy()
    model = FewShotClassifier(project=tmp_path / "metapipe.toml")
    model.fit(images, list("aabbcc"))
    assert np.shape(model.predict(images)) == (6,)
    assert model.adapted_.origin.algorithm == "mine"
