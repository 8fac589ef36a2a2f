"""A classifier without any run: adapt --backbone, by real processes."""

import shutil

import numpy as np
import pytest
import torch
from commands import error_line, metapipe, metapipe_json
from PIL import Image, ImageDraw
from sentences import WORDS, write_model
from sklearn.base import clone

import metapipe as metapipe_python
from metapipe import DataError, FewShotClassifier, UsageError
from metapipe.data import ImageEncoder
from metapipe.runs.stored_run import trained_run
from metapipe.store import TaskStore, default_url
from metapipe.training.tensor_file import read_tensors, write_tensors

GRADIENTS = ("adapt", "--backbone", "gradients")
SIZE = ("-s", "backbone.size=48", "-s", "backbone.cell=12")


def draw(name, seed):
    """A shape at a random place, of a random size, on noise."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 60, (60, 70, 3)).astype(np.uint8)
    image = Image.fromarray(noise)
    x, y, r = rng.integers(28, 42), rng.integers(26, 34), rng.integers(14, 22)
    pen = ImageDraw.Draw(image)
    shapes = {
        "circle": lambda: pen.ellipse((x - r, y - r, x + r, y + r), fill="white"),
        "square": lambda: pen.rectangle((x - r, y - r, x + r, y + r), fill="white"),
        "wedge": lambda: pen.polygon(
            [(x - r, y + r), (x + r, y + r), (x, y - r)], fill="white"
        ),
    }
    shapes[name]()
    return image


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Shapes to learn from, unequal in number, and others to be judged by."""
    folder = tmp_path_factory.mktemp("backbone")
    for place, count, seed in (("shots", 3, 0), ("more", 8, 100)):
        for number, name in enumerate(("circle", "square", "wedge")):
            (folder / place / name).mkdir(parents=True)
            for n in range(count + (number == 0)):
                path = folder / place / name / f"{n}.png"
                draw(name, seed + 10 * number + n).save(path)
    return folder


@pytest.fixture(scope="module")
def model(project):
    out = project / "shapes.metapipe"
    metapipe(*GRADIENTS, *SIZE, "--support", "shots", "--out", str(out), cwd=project)
    return out


def test_a_task_is_learned_without_a_run(project):
    command = (*GRADIENTS, "--support", "shots", "--query", "more")
    out, _ = metapipe(*command, cwd=project)
    assert "adapted to 3 classes with 10 examples" in out
    found = metapipe_json(*command, cwd=project)
    assert found["classes"] == {"circle": 4, "square": 3, "wedge": 3}
    assert found["query"]["count"] == 25
    assert found["query"]["accuracy"] > 0.9
    assert not found["transductive"]


def test_python_has_the_same(project):
    found = metapipe_python.adapt(
        backbone="gradients",
        head="logistic",
        support=project / "shots",
        query=project / "more",
        settings={"backbone.size": 48, "backbone.cell": 12, "algorithm.C": 3.0},
        project=project,
    )
    assert found.query.accuracy > 0.9
    assert found.model.origin.settings["algorithm"]["C"] == 3
    with TaskStore.open(default_url(project)) as store:
        assert store.run(found.run).config["algorithm"]["C"] == 3
    with pytest.raises(UsageError, match="give either a run or a backbone"):
        metapipe_python.adapt(
            1, backbone="gradients", support=project / "shots", project=project
        )


def test_it_is_a_run_of_its_own(project):
    found = metapipe_json(
        *GRADIENTS, *SIZE, "--support", "shots", "--query", "more", cwd=project
    )
    shown = metapipe_json("runs", "show", str(found["run"]), cwd=project)
    run = shown.get("run", shown)
    assert (run["status"], run["algorithm"], run["model"]) == (
        *("completed", "discriminant", "identity"),
    )
    assert (run["dataset"], run["step"], run["ways"]) == ("shots", 0, 3)
    assert run["config"]["backbone"]["size"] == 48
    assert run["metrics"]["query_accuracy"] == found["query"]["accuracy"]
    assert shown["evaluations"][-1]["purpose"] == "adaptation"
    listed = metapipe_json("runs", "list", "--where", "model=identity", cwd=project)
    assert found["run"] in [row["id"] for row in listed]
    with TaskStore.open(default_url(project)) as store:
        row = store.run(found["run"])
    assert row.backbone.startswith("gradients@")
    for command in ("evaluate", "resume"):
        line = error_line(command, str(row.id), cwd=project, code=2)
        assert "trained nothing" in line or "there is nothing to resume" in line
    line = error_line("adapt", str(row.id), "--support", "shots", cwd=project, code=2)
    assert "metapipe adapt --backbone NAME" in line
    metapipe("runs", "compare", str(row.id), str(row.id), cwd=project)


def test_a_model_needs_no_store_and_predicts_the_same_in_every_form(
    project, model, tmp_path
):
    rows = metapipe_json("predict", str(model), str(project / "more"), cwd=tmp_path)
    assert not list(tmp_path.iterdir())
    assert len(rows) == 25
    right = [row["label"] in row["path"].split("/")[-2] for row in rows]
    assert np.mean(right) > 0.9
    names = ["circle"] * 4 + ["square"] * 3 + ["wedge"] * 3
    shots = sorted((project / "shots").glob("*/*.png"))
    estimator = FewShotClassifier(
        backbone="gradients", backbone_settings={"size": 48, "cell": 12}
    )
    estimator = clone(estimator).fit(shots, names)
    queries = [row["path"] for row in rows]
    np.testing.assert_allclose(
        estimator.predict_proba(queries),
        [list(row["probabilities"].values()) for row in rows],
        atol=1e-6,
    )
    assert list(estimator.predict(queries)) == [row["label"] for row in rows]


def test_the_file_names_the_hash_and_holds_no_weights_of_others(model):
    file = read_tensors(model, "adapted")
    header = file.header
    head = {"adapted/weight", "adapted/bias"}
    assert set(file.tensors) == {*head, "support", "labels", "trust/right"}
    sha256 = header["encoder"]["sha256"]
    assert header["origin"]["backbone"] == f"gradients@{sha256[:12]}"
    assert header["origin"]["settings"]["backbone"]["size"] == 48


def test_vectors_made_otherwise_are_refused(project, model, tmp_path):
    file = read_tensors(model, "adapted")
    encoder = {**file.header["encoder"], "sha256": "0" * 64}
    other = tmp_path / "other.metapipe"
    header = {**file.header, "encoder": encoder}
    write_tensors(other, "adapted", file.tensors, header)
    for form in ((), ("--json",), ("--csv",)):
        arguments = ("predict", str(other), "more", *form)
        line = error_line(*arguments, cwd=project, code=1)
        assert "made with gradients of hash 000000000000, and this one is" in line


def test_backbone_and_head_are_exported_in_one_file(project, model, tmp_path):
    written = tmp_path / "x.pt2"
    facts = metapipe_json("export", str(model), "--torch", str(written), cwd=project)
    assert facts["largest_difference"] < 1e-5
    assert (facts["input"], facts["vectors"]) == (["n", 1, 48, 48], ["n", 324])
    card = metapipe_json("show", str(written), cwd=project)
    assert card["backbone"]["carried"]
    line = error_line("predict", str(written), "more", cwd=project, code=1)
    assert "give the file that it was exported from" in line
    rows = metapipe_json("predict", str(model), "more", cwd=project)
    image = ImageEncoder(height=48, width=48, channels=1, fit="crop")
    pictures = image.encode([project / row["path"] for row in rows])
    found, vectors = torch.export.load(written).module()(pictures)
    assert vectors.shape == (25, 324)
    wanted = [list(row["probabilities"].values()) for row in rows]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_texts_are_learned_by_a_model_in_a_folder(tmp_path):
    folder = write_model(tmp_path)
    for name, others in (("shots", WORDS[3:5]), ("more", WORDS[5:7])):
        lines = [f"{w} {o} please,{w}" for w in WORDS[:3] for o in others]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *lines]))
    command = ("adapt", "--backbone", "sentence-transformers")
    chosen = ("-s", f"backbone.folder={folder}", "--support", "shots.csv")
    found = metapipe_json(
        *command, *chosen, "--query", "more.csv", "--out", "t", cwd=tmp_path
    )
    assert found["query"]["count"] == 6
    rows = metapipe_json("predict", "t", "more.csv", cwd=tmp_path)
    assert len(rows) == 6
    (folder / "README.md").write_text("changed")
    line = error_line("predict", "t", "more.csv", cwd=tmp_path, code=1)
    assert "another than the one" in line
    line = error_line(*command, "--support", "shots.csv", cwd=tmp_path, code=1)
    assert "-s backbone.folder=PATH" in line


def test_mistakes_are_one_line(project, tmp_path):
    one = tmp_path / "one"
    shutil.copytree(project / "shots" / "circle", one / "circle")
    shots = ("--support", "shots")
    for arguments, message, code in (
        (("--backbone", "gradient", *shots), "did you mean 'gradients'?", 2),
        (("latest", "--backbone", "gradients", *shots), "give either a run or", 2),
        (shots, "RUN, or --backbone NAME", 2),
        (("--backbone", "gradients", "--support", str(one)), "one class only", 2),
        (("--backbone", "gradients", "--support", "none"), "does not exist", 2),
        (
            ("--backbone", "gradients", *shots, "--head", "maml"),
            "not (discriminant, ",
            2,
        ),
        (("--backbone", "gradients", *shots, "--head", "x"), "no algorithm", 2),
        (("latest", *shots, "--head", "logistic"), "a head goes with", 2),
        (
            ("--backbone", "gradients", *shots, "--checkpoint", "best"),
            "a checkpoint is of a run",
            2,
        ),
        (
            ("--backbone", "gradients", *shots, "-s", "backbone.sise=3"),
            "did you mean 'size'?",
            2,
        ),
        (
            ("--backbone", "gradients", *shots, "-s", "model.width=3"),
            "algorithm.NAME and backbone.NAME only",
            2,
        ),
        (("latest", *shots, "-s", "backbone.size=3"), "algorithm.NAME only", 2),
    ):
        assert message in error_line("adapt", *arguments, cwd=project, code=code)
    line = error_line("train", "--plugin", "logistic", cwd=tmp_path, code=2)
    assert "adapt --backbone NAME --head logistic" in line
    with pytest.raises(UsageError, match="either run or backbone"):
        FewShotClassifier("latest", backbone="gradients").fit(["a"], ["b"])


def test_a_folder_with_pickled_weights_is_one_line(project, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "pytorch_model.bin")
    line = error_line(
        *("adapt", "--backbone", "transformers-folder", "--support", "shots"),
        *("-s", f"backbone.folder={tmp_path}"),
        cwd=project,
        code=1,
    )
    assert f"{tmp_path / 'pytorch_model.bin'} is pickled, which is not read" in line


def test_a_class_of_one_picture_is_learned_and_has_no_estimate(project, tmp_path):
    support = tmp_path / "shots"
    shutil.copytree(project / "shots", support)
    for path in sorted((support / "wedge").iterdir())[1:]:
        path.unlink()
    out, _ = metapipe(*GRADIENTS, *SIZE, "--support", str(support), cwd=tmp_path)
    assert "adapted to 3 classes with 8 examples" in out
    assert "from your own 7 examples" in out
    assert "  wedge   no estimate: it has one example\n" in out


def test_a_picture_is_of_one_class_and_counts_once(project, tmp_path, caplog):
    support, out = tmp_path / "shots", tmp_path / "out"
    shutil.copytree(project / "shots", support)

    def learned():
        return metapipe_python.adapt(
            backbone="gradients",
            settings={"backbone.size": 48, "backbone.cell": 12},
            support=support,
            out=out,
            project=tmp_path,
        ).model

    assert learned().counts["square"] == 3
    again = support / "square" / "again.png"
    shutil.copy(support / "square" / "0.png", again)
    assert learned().counts["square"] == 3
    assert f"counted once: {support}/square/0.png = {again}" in caplog.text
    before = out.read_bytes()
    other = support / "circle" / "other.png"
    again.rename(other)
    with pytest.raises(DataError) as caught:
        learned()
    assert f"{other} = {support}/square/0.png: which class is it?" in str(caught.value)
    assert caught.value.exit_code == 1
    assert out.read_bytes() == before


def test_the_latest_run_is_one_that_was_trained(project, tmp_path):
    """Learning a task by a backbone does not hide the run that was trained before."""
    with TaskStore.open(default_url(project)) as store:
        newest = store.run("latest")
        assert newest.backbone is not None
        assert trained_run(store, newest.id) == newest
        trained = store.runs("backbone=null", limit=1)
        found = trained_run(store, "latest")
        assert found == (trained[0] if trained else newest)
