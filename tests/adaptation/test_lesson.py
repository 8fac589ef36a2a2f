"""Examples given one at a time: the same is learned as from a folder of them."""

import io
from dataclasses import replace

import pytest
from pictures import picture, write_classes
from PIL import Image
from quick import quick_run

import metapipe
from metapipe.adaptation.adapted_file import load
from metapipe.adaptation.backbone_run import open_backbone, reopened
from metapipe.adaptation.lesson import Lesson
from metapipe.adaptation.model_files import model_file, model_files, new_model_file
from metapipe.adaptation.open_runs import kept_open
from metapipe.errors import DataError, NotFoundError, UnsupportedError, UsageError
from metapipe.runs.workspace import Workspace


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A run that learns two classes, and pictures of a new task."""
    folder = tmp_path_factory.mktemp("lesson")
    quick_run(folder, "maml", ways=2, iterations=4)
    write_classes(folder / "shots", {"cat": 3, "dog": 2})
    write_classes(folder / "photos", {"cat": 2})
    return folder


@pytest.fixture
def workspace(project):
    with Workspace.at(project) as opened:
        yield opened


def of_run(workspace):
    return Lesson(kept_open(workspace, workspace.store, "latest"))


def of_backbone(workspace):
    return Lesson(open_backbone(workspace.registry, "gradients"))


def taught(lesson, shots):
    """The lesson with the classes and the pictures of a folder."""
    for number in list(lesson.classes)[2:]:
        lesson.drop_class(number)
    numbers = list(lesson.classes)
    for number, folder in zip(numbers, sorted(shots.iterdir()), strict=True):
        lesson.rename(number, folder.name)
        for file in sorted(folder.iterdir()):
            lesson.give(number, file.read_bytes(), file.name)
    return lesson


@pytest.mark.parametrize("of", [of_run, of_backbone])
def test_it_says_what_predict_says_of_the_same_pictures(of, project, workspace):
    lesson = taught(of(workspace), project / "shots")
    files = sorted((project / "photos").rglob("*.png"))
    by = {"backbone": "gradients"} if of is of_backbone else {"run": "latest"}
    adapted = metapipe.adapt(**by, support=project / "shots", project=project)
    wanted = metapipe.predict(adapted, files)
    said = lesson.say([file.read_bytes() for file in files])
    for row, known in zip(said, wanted, strict=True):
        assert row == {name: v for name, v in known.items() if name != "path"}
    assert lesson.model.trust.estimate == adapted.trust.estimate


def test_what_is_kept_is_the_file_that_adapt_would_write(project, workspace):
    lesson = taught(of_backbone(workspace), project / "shots")
    path = new_model_file(project, "my cats")
    kept = lesson.kept(workspace, path)
    assert kept.out == path
    assert kept.counts == {"cat": 3, "dog": 2}
    content = next((project / "photos").rglob("*.png")).read_bytes()
    read = load(model_file(project, "my cats"), workspace.registry)
    assert Lesson(read).say([content]) == lesson.say([content])
    assert read.items[0].name == "cat/0.png"
    evaluation = workspace.store.evaluations(kept.run)[0]
    assert (evaluation.purpose, evaluation.dataset) == ("adaptation", "my cats")
    with pytest.raises(UsageError, match="already"):
        new_model_file(project, "my cats")

    further = Lesson.going_on(reopened(workspace.registry, read), read)
    assert further.say([content]) == lesson.say([content])
    third = further.add_class("bird")
    assert further.lacks == "an example of bird is wanted"
    further.give(third, png(picture(99)))
    assert set(further.say([content])[0]["probabilities"]) == {"cat", "dog", "bird"}


def test_a_class_can_be_renamed_when_it_was_learned(project, workspace):
    lesson = taught(of_backbone(workspace), project / "shots")
    content = next((project / "photos").rglob("*.png")).read_bytes()
    before = lesson.say([content])[0]["probabilities"]
    lesson.rename(next(iter(lesson.classes)), "<b>Löwe</b>")
    after = lesson.say([content])[0]["probabilities"]
    assert after == {"<b>Löwe</b>": before["cat"], "dog": before["dog"]}
    with pytest.raises(UsageError, match="already"):
        lesson.rename(next(iter(lesson.classes)), " dog ")
    for name in ("", "  ", "a\nb", "\x1b[31m", "n" * 61):
        with pytest.raises(UsageError, match="letters on one line"):
            lesson.add_class(name)


def test_examples_come_and_go(project, workspace):
    lesson = taught(of_backbone(workspace), project / "shots")
    cat, dog = lesson.classes
    content = png(picture(77))
    first = lesson.give(cat, content, "../../etc/\x1bpasswd")
    assert lesson.examples[first].item.name == "\\x1bpasswd"
    assert lesson.give(cat, content) == first, "once is enough"
    with pytest.raises(UsageError, match="an example of cat already"):
        lesson.give(dog, content)
    with pytest.raises(UsageError, match="an example of cat already"):
        lesson.give(dog, png(picture(77), "BMP"))  # the same picture, another file
    told = lesson.say([content])[0]["probabilities"]
    lesson.take_back(first)
    assert lesson.say([content])[0]["probabilities"] != told
    with pytest.raises(NotFoundError, match="no example"):
        lesson.take_back(first)
    with pytest.raises(DataError, match="cannot read the image"):
        lesson.give(cat, b"<svg onload=alert(1)>")


def test_it_tells_what_it_lacks_and_how_many_classes_it_learns(project, workspace):
    lesson = of_run(workspace)
    assert lesson.ways == 2 == len(lesson.classes)
    assert lesson.lacks == "an example of A and 1 more is wanted"
    with pytest.raises(UsageError, match="an example of A"):
        lesson.say([png(picture(1))])
    with pytest.raises(UnsupportedError, match="trained for 2 classes"):
        lesson.add_class("C")
    with pytest.raises(UnsupportedError, match="no fewer"):
        lesson.drop_class(next(iter(lesson.classes)))


def test_a_model_of_a_run_is_asked_and_taught_nothing(project, workspace):
    lesson = taught(of_run(workspace), project / "shots")
    path = lesson.kept(workspace, new_model_file(project, "by run")).out
    fixed = Lesson(load(path, workspace.registry))
    assert (fixed.learns, list(fixed.classes.values())) == (False, ["cat", "dog"])
    assert fixed.say([png(picture(3))]) == lesson.say([png(picture(3))])
    with pytest.raises(UnsupportedError, match="learns nothing more"):
        fixed.give(1, png(picture(4)))


def test_a_model_has_its_names_whatever_a_page_would_take(project, workspace):
    lesson = of_run(workspace)
    for number, seed in ((1, 5), (2, 6)):
        lesson.give(number, png(picture(seed)))
    names = ("a" * 70, "tab\tbed")
    known = Lesson(replace(lesson.model, classes=names))
    assert tuple(known.classes.values()) == names


def test_vectors_that_nobody_named_are_gone_on_from(project, workspace):
    lesson = of_backbone(workspace)
    for number, seed in zip(lesson.classes, range(5), strict=True):
        lesson.give(number, png(picture(seed)))
    model = replace(lesson.model, items=())  # as a program that gives arrays keeps it
    further = Lesson.going_on(reopened(workspace.registry, model), model)
    assert list(further.counts.values()) == [1] * 5
    assert len({each.item.sha256 for each in further.examples.values()}) == 5


def test_what_is_seen_is_what_the_network_gets(workspace):
    lesson = of_run(workspace)
    drawing = Image.new("L", (280, 280), 255)
    drawing.paste(0, (0, 0, 280, 140))  # the upper half is dark
    number = lesson.give(1, png(drawing))
    example = lesson.examples[number]
    seen = Image.open(io.BytesIO(example.seen))
    assert seen.size == tuple(example.made.shape[1:][::-1])
    made = (example.made[0] * 255).round().byte().flatten().tolist()
    assert list(seen.tobytes()) == made


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "a\\b", "C:x", "x.y", "con", "COM1", "-"],
)
def test_a_file_is_the_projects_own(name, tmp_path):
    with pytest.raises(UsageError, match="no name for a file"):
        new_model_file(tmp_path, name)


def test_what_leads_out_of_the_project_is_no_model_of_it(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out.metapipe"
    inside.mkdir()
    outside.write_bytes(b"")
    (inside / "own.metapipe").write_bytes(b"")
    (inside / "link.metapipe").symlink_to(outside)
    assert list(model_files(inside)) == ["own"]
    for name in ("link", "../out", "owm"):
        with pytest.raises(NotFoundError, match=f"no adapted model '{name}'"):
            model_file(inside, name)
    with pytest.raises(UsageError, match="already"):
        new_model_file(inside, "link")


def png(image, form="PNG"):
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()
