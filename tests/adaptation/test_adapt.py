"""From files to a classifier: adapt, predict and export, by real processes."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import error_line, metapipe, metapipe_json
from PIL import Image, ImageChops
from safetensors.torch import save_file

from metapipe.adaptation.adapted_file import load as load_adapted
from metapipe.adaptation.adapted_file import save as save_adapted
from metapipe.errors import CheckpointError
from metapipe.experiment.experiment import Experiment
from metapipe.experiment.registry import load
from metapipe.store import TaskStore, default_url

FILES = Path(__file__).parents[1] / "files"

TRAIN = (
    *("train", "--dataset", "digits", "--ways", "4", "--shots", "2", "--queries", "3"),
    *("--iterations", "12", "--tasks", "2", "--validate-every", "0"),
    *("-s", "model.width=8", "-s", "model.blocks=2"),
    *("-s", "evaluation.episodes=6"),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Two runs, and test episodes of the first kind as folders of pictures."""
    folder = tmp_path_factory.mktemp("adapt")
    for plugin in ("protonet", "maml"):
        metapipe_json(*TRAIN, "--plugin", plugin, "--name", plugin, cwd=folder)
        metapipe("evaluate", plugin, "--prediction", "alone", cwd=folder)
    return folder


def as_folders(source, task, root):
    """An episode as pictures in folders, named so that their order is the labels'."""
    shutil.rmtree(root, ignore_errors=True)
    episode = source.draw([task])
    for name, samples in (("support", episode.support), ("query", episode.query)):
        pairs = zip(samples.inputs[0], samples.targets[0].tolist(), strict=True)
        for number, (image, label) in enumerate(pairs):
            folder = root / name / f"class {label}"
            folder.mkdir(parents=True, exist_ok=True)
            pixels = (image[0] * 255).round().to(torch.uint8).numpy()
            Image.fromarray(pixels).save(folder / f"{number:03d}.png")
    return root


@pytest.mark.parametrize("run", ["protonet", "maml"])
@pytest.mark.parametrize("prediction", ["alone", "together"])
def test_episodes_as_folders_give_the_figures_of_evaluate(
    run, prediction, project, tmp_path
):
    with TaskStore.open(default_url(project)) as store:
        row = store.run(run)
        found = [e for e in store.evaluations(row.id) if e.prediction == prediction]
        known = [e for e in store.episodes(row.id) if e.evaluation_id == found[0].id]
        source = Experiment.from_dict(row.config, load()).dataset.open("test")
    assert len(known) == 6
    for episode in known[:2]:
        root = as_folders(source, episode.task, tmp_path / "task")
        new = metapipe_json(
            *("adapt", run, "--support", str(root / "support")),
            *("--query", str(root / "query"), "--prediction", prediction),
            cwd=project,
        )
        assert new["query"]["accuracy"] == pytest.approx(episode.accuracy, abs=1e-6)
        assert new["query"]["loss"] == pytest.approx(episode.loss, rel=1e-4)
        assert new["transductive"] == (run == "maml" and prediction == "together")


@pytest.fixture
def task(project, tmp_path):
    """Folders of one task, of unequal counts and other sizes."""
    with TaskStore.open(default_url(project)) as store:
        row = store.run("protonet")
        source = Experiment.from_dict(row.config, load()).dataset.open("test")
        episode = next(e for e in store.episodes(row.id) if e.evaluation_id)
    root = as_folders(source, episode.task, tmp_path / "task")
    (root / "support" / "class 0" / "001.png").unlink()
    for path in (root / "query" / "class 1").iterdir():
        Image.open(path).convert("RGB").resize((40, 40)).save(path.with_suffix(".jpg"))
        path.unlink()
    return root


@pytest.fixture
def model(project, task, tmp_path):
    out = tmp_path / "x.metapipe"
    metapipe(
        *("adapt", "protonet", "--support", str(task / "support"), "--out", str(out)),
        cwd=project,
    )
    return out


def test_adapting_tells_and_stores_what_it_did(project, task):
    support, query = str(task / "support"), str(task / "query")
    command = ("adapt", "maml", "--support", support, "--query", query)
    out, _ = metapipe(*command, cwd=project)
    assert "adapted to 4 classes with 7 examples" in out
    assert "before: 25.0 %" in out or "before:" in out
    assert "95 % interval" in out
    assert "true class" in out
    found = metapipe_json(*command, cwd=project)
    assert found["classes"] == {f"class {n}": 2 - (n == 0) for n in range(4)}
    assert np.sum(found["query"]["confusion"]) == found["query"]["count"] == 12
    shown = metapipe_json("runs", "show", "maml", cwd=project)
    stored = shown["evaluations"][-1]
    assert stored["id"] == found["evaluation"]
    assert stored["purpose"] == "adaptation"
    assert stored["settings"]["support"] == support
    assert stored["accuracy"] == found["query"]["accuracy"]
    assert shown["accuracy"] != stored["accuracy"] or shown["accuracy"] == 0.25


def test_an_adaptation_is_no_headline_and_cannot_be_redrawn(project, task):
    before = metapipe_json("runs", "show", "protonet", cwd=project)["accuracy"]
    new = metapipe_json(
        "adapt", "protonet", "--support", str(task / "support"), cwd=project
    )
    shown = metapipe_json("runs", "show", "protonet", cwd=project)
    assert shown["accuracy"] == before
    with TaskStore.open(default_url(project)) as store:
        run = store.run("protonet").id
        episode = [
            e for e in store.episodes(run) if e.evaluation_id == new["evaluation"]
        ]
    _, err = metapipe("episodes", "show", str(episode[0].id), cwd=project, code=2)
    assert "handed in as files" in err


def test_predictions_agree_in_every_form(project, task, model):
    query = str(task / "query")
    rows = metapipe_json("predict", str(model), query, cwd=project)
    assert len(rows) == 12
    for row in rows:
        assert sum(row["probabilities"].values()) == pytest.approx(1)
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)
    out, _ = metapipe("predict", str(model), query, "--csv", cwd=project)
    lines = list(csv.DictReader(io.StringIO(out)))
    assert [line["label"] for line in lines] == [row["label"] for row in rows]
    assert float(lines[0]["p(class 2)"]) == pytest.approx(
        rows[0]["probabilities"]["class 2"], rel=1e-4
    )
    out, _ = metapipe("predict", str(model), query, cwd=project)
    assert out.count("%") == 12 * 3


def test_a_model_needs_neither_store_nor_data(task, model, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    rows = metapipe_json("predict", str(model), str(task / "query"), cwd=elsewhere)
    assert len(rows) == 12
    assert not list(elsewhere.iterdir())


def test_broken_files_are_told_and_the_rest_is_kept(task, model, tmp_path, project):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    good = str(task / "query" / "class 0")
    out, err = metapipe(
        *("predict", str(model), str(bad), str(tmp_path / "none.png"), good, "--json"),
        cwd=project,
        code=1,
    )
    assert len(json.loads(out)) == 3
    assert "bad.png" in err
    assert "none.png" in err
    assert "2 files could not be read" in err


def test_files_that_are_no_model_are_refused(model, tmp_path):
    registry = load()
    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": torch.ones(1)}, foreign)
    with pytest.raises(CheckpointError, match="foreign"):
        load_adapted(foreign, registry)
    with pytest.raises(CheckpointError, match="no adapted model at"):
        load_adapted(tmp_path / "none", registry)
    content = model.read_bytes()
    for name, damaged in (("cut", content[:-100]), ("head", b"x" + content[1:])):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged"):
            load_adapted(tmp_path / name, registry)


def test_every_flipped_byte_of_a_model_is_noticed(tmp_path):
    registry, path = load(), tmp_path / "x"
    save_adapted(load_adapted(FILES / "format-1.metapipe", registry, "cpu"), path)
    content = path.read_bytes()
    assert len(content) < 4000
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError) as caught:
            load_adapted(path, registry)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_model_of_format_1_predicts_what_it_did(tmp_path):
    """Figures of commit fdfd0bf, which wrote the file."""
    registry = load()
    inputs = torch.linspace(0, 1, 9 * 64).reshape(9, 1, 8, 8).sin()[6:]
    wanted = [
        [0.30367323645, 0.33584768799, 0.36047907555],
        [0.29741881219, 0.33551767402, 0.36706351378],
        [0.29193208047, 0.33515622427, 0.37291169525],
    ]
    model = load_adapted(FILES / "format-1.metapipe", registry, "cpu")
    save_adapted(model, tmp_path / "new")
    again = load_adapted(tmp_path / "new", registry, "cpu")
    for opened in (model, again):
        assert np.allclose(opened.probabilities(inputs), wanted, rtol=0, atol=1e-6)
        assert opened.classes == ("a", "b", "c")
    assert torch.equal(model.outputs(inputs), again.outputs(inputs))


def test_a_checkpoint_is_no_model(tmp_path):
    line = error_line(
        *("predict", str(FILES / "format-1.safetensors"), str(tmp_path)),
        cwd=tmp_path,
        code=1,
    )
    assert "is a checkpoint of a run, not an adapted model: make one with" in line


def test_what_cannot_be_done_is_one_line(project, task, tmp_path):
    for number in range(5):
        new = task / "support" / f"n{number}"
        shutil.copytree(task / "support" / "class 1", new)
        for path in new.iterdir():  # the same picture in two classes is refused
            with Image.open(path) as picture:
                changed = ImageChops.offset(picture.convert("L"), number + 1)
            changed.save(path)
    line = error_line(
        "adapt", "maml", "--support", str(task / "support"), cwd=project, code=2
    )
    assert "4 outputs" in line
    new = metapipe_json(
        "adapt", "protonet", "--support", str(task / "support"), cwd=project
    )
    assert len(new["classes"]) == 9
    one = tmp_path / "one"
    shutil.copytree(task / "support" / "class 1", one / "only")
    for arguments, message, code in (
        (("--support", str(one)), "one class", 2),
        (("--support", str(tmp_path / "none")), "does not exist", 2),
        (
            ("--support", str(task / "query"), "--query", str(one)),
            "no class of the support set",
            1,
        ),
        (("--support", str(one), "-s", "model.width=3"), "algorithm.NAME", 2),
    ):
        line = error_line("adapt", "protonet", *arguments, cwd=project, code=code)
        assert message in line


def test_an_exported_program_gives_our_numbers(project, model, tmp_path):
    written = tmp_path / "x.pt2"
    facts = metapipe_json("export", str(model), "--torch", str(written), cwd=project)
    assert facts["largest_difference"] < 1e-5
    assert facts["classes"] == [f"class {n}" for n in range(4)]
    assert written.stat().st_size > 1000


def test_onnx_gives_our_numbers(project, model, tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra metapipe[onnx]")
    pytest.importorskip("onnxscript", reason="the extra metapipe[onnx]")
    written = tmp_path / "x.onnx"
    facts = metapipe_json("export", str(model), "--onnx", str(written), cwd=project)
    assert facts["largest_difference"] < 1e-4


def test_what_needs_a_batch_is_not_exported(project, task, tmp_path):
    out = tmp_path / "m.metapipe"
    metapipe(
        *("adapt", "maml", "--support", str(task / "support"), "--out", str(out)),
        cwd=project,
    )
    rows = metapipe_json("predict", str(out), str(task / "query"), cwd=project)
    one = rows[0]["path"]
    alone = metapipe_json("predict", str(out), one, cwd=project)
    assert alone[0]["probability"] == pytest.approx(rows[0]["probability"], rel=1e-4)
    line = error_line(
        "export", str(out), "--torch", str(tmp_path / "m.pt2"), cwd=project, code=2
    )
    assert "statistics of a batch" in line
