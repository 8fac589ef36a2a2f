"""An adapted model keeps its support: examples come and go without the old pictures."""

import shutil
from hashlib import sha256

import pytest
import torch
from commands import error_line
from commands import metapipe as command
from pictures import picture

import metapipe
from metapipe import DataError, MetapipeError, UsageError
from metapipe.training.tensor_file import read_tensors, write_tensors

SMALL = {"backbone.size": 32, "backbone.cell": 8}


def draw(folder, classes):
    """`folder/CLASS/SEED.png` of each seed."""
    for name, seeds in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            picture(seed, (40, 36)).save(folder / name / f"{seed}.png")
    return folder


@pytest.fixture
def adapted(tmp_path):
    """A function that adapts to pictures of classes: the file."""

    def adapt(classes, name="model", **more):
        shots = draw(tmp_path / f"{name}-shots", classes)
        out = tmp_path / f"{name}.metapipe"
        metapipe.adapt(
            backbone="gradients",
            head="logistic",
            support=shots,
            out=out,
            settings=SMALL,
            project=tmp_path,
            **more,
        )
        shutil.rmtree(shots)
        return out

    return adapt


def tensors(path):
    return read_tensors(path, "adapted").tensors


def assert_equal(first, second):
    mine, others = tensors(first), tensors(second)
    assert mine.keys() == others.keys()
    assert all(torch.equal(mine[name], others[name]) for name in mine)
    headers = [read_tensors(path, "adapted").header for path in (first, second)]
    assert headers[0]["items"] == headers[1]["items"]
    assert headers[0]["classes"] == headers[1]["classes"]


def amend(tmp_path, file, **changes):
    return metapipe.amend(file, project=tmp_path, **changes)


def test_a_file_names_its_items_by_class_and_content(adapted):
    file = adapted({"b": [1, 2], "a": [3]})
    items = dict(read_tensors(file, "adapted").header["items"])
    assert list(items) == ["a/3.png", "b/1.png", "b/2.png"]
    picture(3, (40, 36)).save(file.parent / "3.png")
    assert items["a/3.png"] == sha256((file.parent / "3.png").read_bytes()).hexdigest()
    assert tensors(file)["labels"].tolist() == [0, 1, 1]


def test_adding_is_adapting_to_all_at_once(adapted, tmp_path):
    """The same classes and a new one that comes first; bit for bit."""
    whole = adapted({"a": [7], "b": [1, 2, 5], "c": [3, 4, 6]}, "whole")
    file = adapted({"b": [1, 2], "c": [3, 4]})
    more = draw(tmp_path / "more", {"a": [7], "b": [5], "c": [6]})
    found = amend(tmp_path, file, add=more)
    assert found.counts == {"a": 1, "b": 3, "c": 3}
    assert_equal(file, whole)
    back = amend(
        tmp_path, file, remove=("a", "b/5.png", "c/6.png"), out=tmp_path / "back"
    )
    assert back.model.classes == ("b", "c")
    assert_equal(tmp_path / "back", adapted({"b": [1, 2], "c": [3, 4]}, "again"))
    assert_equal(file, whole)  # what was written elsewhere leaves it


def test_an_example_is_removed_by_its_hash_and_changes_its_class(adapted, tmp_path):
    file = adapted({"b": [1, 2], "c": [3, 4]})
    items = dict(read_tensors(file, "adapted").header["items"])
    more = draw(tmp_path / "more", {"c": [2]})
    with pytest.raises(DataError, match=r"several classes: b/2.png = .*more/c/2.png"):
        amend(tmp_path, file, add=more)
    amend(tmp_path, file, remove=items["b/2.png"][:8], add=more)
    assert_equal(file, adapted({"b": [1], "c": [2, 3, 4]}, "other"))


def test_what_is_there_already_counts_once(adapted, tmp_path, caplog):
    file = adapted({"b": [1, 2], "c": [3, 4]})
    before = file.read_bytes()
    amend(tmp_path, file, add=draw(tmp_path / "more", {"b": [1], "c": [4]}))
    assert "2 examples are there more than once, and counted once: b/1.png = " in (
        caplog.text
    )
    assert tensors(file)["labels"].tolist() == [0, 0, 1, 1]
    names = draw(tmp_path / "others", {"b": [5]})
    (names / "b" / "5.png").rename(names / "b" / "1.png")
    amend(tmp_path, file, add=names)
    with pytest.raises(UsageError, match=r"2 examples called 'b/1\.png': name one by"):
        amend(tmp_path, file, remove="b/1.png")
    assert len(before) < len(file.read_bytes())


def test_an_amendment_is_a_run_and_mistakes_leave_the_file(adapted, tmp_path):
    file = adapted({"b": [1, 2], "c": [3, 4]})
    before = file.read_bytes()
    broken = draw(tmp_path / "broken", {"b": [6, 7]})
    (broken / "b" / "7.png").write_text("no picture")
    for arguments, message, code in (
        (("--remove", "d"), "no class or example 'd'; its classes: b; c", 2),
        (("--remove", "b/1.pgn"), "did you mean 'b/1.png'?", 2),
        (("--remove", "b"), "has one class only, 'c'", 2),
        (("--add", "none"), "does not exist", 2),
        (("--add", str(broken)), "7.png: not an image", 1),
        (("--add", str(broken), "--backbone", "gradients"), "does not go with", 2),
        (("--support", str(broken)), "is a file and no run: change it by --add", 2),
    ):
        line = error_line("adapt", str(file), *arguments, cwd=tmp_path, code=code)
        assert message in line
        assert file.read_bytes() == before
    line = error_line("adapt", "--add", str(broken), cwd=tmp_path, code=2)
    assert "metapipe adapt FILE --add DIR" in line
    line = error_line("adapt", "none", "--remove", "b", cwd=tmp_path, code=1)
    assert "no adapted model at none" in line
    skip = ("--unreadable", "skip", "--json")
    out, err = command("adapt", str(file), "--add", str(broken), *skip, cwd=tmp_path)
    assert "left out 1 unreadable: " in err
    assert '"b": 3' in out
    assert '"run": 2' in out


def test_a_file_without_vectors_says_what_to_do(adapted, tmp_path):
    file = adapted({"b": [1, 2], "c": [3, 4]})
    old = read_tensors(file, "adapted")
    head = {k: v for k, v in old.tensors.items() if k.startswith("adapted/")}
    header = {k: v for k, v in old.header.items() if k not in ("items", "trust")}
    write_tensors(tmp_path / "old", "adapted", head, header)
    more = draw(tmp_path / "more", {"b": [5]})
    assert metapipe.predict(tmp_path / "old", more / "b", project=tmp_path)
    with pytest.raises(UsageError, match="--backbone gradients --support DIR"):
        amend(tmp_path, tmp_path / "old", add=more)
    labels = torch.tensor([0, 0, 2, 2])
    damaged = {**old.tensors, "labels": labels}
    write_tensors(tmp_path / "damaged", "adapted", damaged, old.header)
    with pytest.raises(MetapipeError, match="damaged: its support set"):
        amend(tmp_path, tmp_path / "damaged", add=more)


def test_a_file_carries_weights_and_needs_none(adapted, tmp_path):
    """These have none; an encoder that cannot be carried says so."""
    file = adapted({"b": [1, 2], "c": [3, 4]}, self_contained=True)
    assert metapipe.load_adapted(file, project=tmp_path).classes == ("b", "c")
