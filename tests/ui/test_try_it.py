"""Try it, without a browser: what is taken, what is refused, and what is kept."""

import asyncio
import io
import itertools
import threading

import httpx2
import pytest
from pictures import picture
from PIL import Image
from starlette.testclient import TestClient

from metapipe.adaptation.backbone_run import open_backbone
from metapipe.adaptation.lesson import Lesson
from metapipe.errors import NotFoundError
from metapipe.runs.workspace import Workspace
from metapipe.ui import lessons as bounds
from metapipe.ui.application import application
from metapipe.ui.lessons import Lessons
from metapipe.ui.site import Site

HERE = "http://127.0.0.1"


@pytest.fixture
def client(tmp_path):
    with Workspace.at(tmp_path) as workspace:
        yield client_of(workspace, "adapt", "keep")


def client_of(workspace, *allowed):
    """Of an empty project."""
    app = application(Site(workspace, allowed))
    return TestClient(app, base_url=HERE, headers={"origin": HERE})


def begun(client):
    """The address of a lesson by `gradients`, and its classes."""
    answer = client.post("/try/lessons", data={"backbone": "gradients"})
    assert answer.status_code == 201
    told = answer.json()
    return f"/try/lessons/{told['key']}", [each["number"] for each in told["classes"]]


def png(image=None, form="PNG"):
    out = io.BytesIO()
    (picture(1) if image is None else image).save(out, form)
    return out.getvalue()


def give(client, lesson, number, *contents, name="mine.png"):
    files = [("picture", (name, content, "image/png")) for content in contents]
    return client.post(f"{lesson}/examples", data={"class": number}, files=files)


def test_what_was_given_is_told_and_seen_and_can_be_taken_back(client):
    lesson, numbers = begun(client)
    hostile = "<script>alert(1)</script>.png"
    found = give(client, lesson, numbers[0], png(), name=hostile).json()
    (example,) = found["classes"][0]["examples"]
    assert example["name"] == "script>.png", "no folder, and data all the same"
    address = f"{lesson}/examples/{example['number']}"
    seen = client.get(address)
    assert seen.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(seen.content)).size == (96, 96)
    assert client.delete(address).json()["classes"][0]["examples"] == []
    for gone in (address, f"{lesson}/examples/x", f"{lesson}/examples/{'9' * 5000}"):
        assert client.get(gone).status_code == 404
    assert client.get(lesson).json()["lacks"] == "an example of A and 4 more is wanted"


def test_names_are_data_and_never_markup(client):
    lesson, numbers = begun(client)
    name = '"><script>alert(1)</script>'
    found = client.post(f"{lesson}/classes/{numbers[0]}", data={"name": name}).json()
    assert found["classes"][0]["name"] == name
    answer = client.get("/try", params={"run": name})
    assert name not in answer.text
    assert client.get("/try", params={"model": "<b>"}).text.count("<b>") == 0


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "mine.png: "),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "mine.png: "),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "mine.png: "),
        (png()[:60], "mine.png: "),
        (png(Image.new("1", (12000, 12000))), "134,217,728 pixels"),
    ],
    ids=["nothing", "svg", "postscript", "broken", "bomb"],
)
def test_what_is_no_picture_is_refused_in_a_line(client, content, line):
    lesson, numbers = begun(client)
    answer = give(client, lesson, numbers[0], content)
    assert answer.status_code == 400
    assert line in answer.text
    assert not client.get(lesson).json()["classes"][0]["examples"]


def test_uploads_are_bounded_in_size_and_in_count(client):
    lesson, numbers = begun(client)
    assert give(client, lesson, numbers[0], b"x" * (17 * 2**20)).status_code == 413
    many = give(client, lesson, numbers[0], *[b""] * 101)
    assert (many.status_code, "100" in many.text) == (400, True)
    text = client.post(
        f"{lesson}/classes", data={"name": "n" * 2**21}, files={"picture": b""}
    )
    assert text.status_code == 400


def test_an_answer_has_all_classes_and_what_to_expect(client):
    lesson, numbers = begun(client)
    for number in numbers[2:]:
        client.delete(f"{lesson}/classes/{number}")
    refused = client.post(f"{lesson}/answers", files={"picture": png()})
    assert refused.status_code == 400
    for number, seed in zip(numbers, (1, 2), strict=False):
        give(client, lesson, number, png(picture(seed)))
    found = client.post(f"{lesson}/answers", files={"picture": png()}).json()
    (said,) = found["answers"]
    assert set(said["probabilities"]) == {"A", "B"}
    assert (said["calibrated"], said["seen"][:15]) == (False, "data:image/png;")
    assert "give two or more of each" in found["expected"]
    for number, seed in itertools.product(numbers[:2], range(3, 7)):
        give(client, lesson, number, png(picture(10 * number + seed)))
    found = client.post(f"{lesson}/answers", files={"picture": png()}).json()
    assert found["answers"][0]["calibrated"]
    assert "from your own 10 examples" in found["expected"]


def test_what_is_kept_is_a_file_of_the_project(client, tmp_path):
    lesson, numbers = begun(client)
    for number in numbers[2:]:
        client.delete(f"{lesson}/classes/{number}")
    for number, seed in zip(numbers, (1, 2), strict=False):
        give(client, lesson, number, png(picture(seed)))
    for name in ("../out", "/tmp/out", "a\\b", ".metapipe", ""):
        answer = client.post(f"{lesson}/model", data={"name": name})
        assert (answer.status_code, "is no name" in answer.text) == (400, True)
    kept = client.post(f"{lesson}/model", data={"name": "my signs"}).json()
    assert kept["kept"] == "my signs.metapipe"
    assert (tmp_path / "my signs.metapipe").is_file()
    again = client.post(f"{lesson}/model", data={"name": "my signs"})
    assert "already" in again.text
    assert "adapted model my signs" in client.get("/try").text
    going_on = client.post("/try/lessons", data={"model": "my signs"}).json()
    assert [len(each["examples"]) for each in going_on["classes"]] == [1, 1]
    others = [p.name for p in tmp_path.iterdir() if p.name != ".metapipe"]
    assert others == ["my signs.metapipe"]


def test_nothing_is_adapted_or_kept_unless_it_was_allowed(tmp_path):
    with Workspace.at(tmp_path) as workspace:
        client = client_of(workspace)
        assert "--allow adapt" in client.get("/try").text
        answer = client.post("/try/lessons", data={"backbone": "gradients"})
        assert (answer.status_code, "may not adapt" in answer.text) == (403, True)
        client = client_of(workspace, "adapt")
        lesson, _ = begun(client)
        answer = client.post(f"{lesson}/model", data={"name": "mine"})
        assert (answer.status_code, "may not keep" in answer.text) == (403, True)
        other = {"origin": "http://evil.example"}
        for path in ("/try/lessons", f"{lesson}/examples", f"{lesson}/answers"):
            assert client.post(path, headers=other).status_code == 403
        assert client.delete(f"{lesson}/classes/1", headers=other).status_code == 403
    assert not list(tmp_path.iterdir()), "nothing was written"


@pytest.mark.parametrize(
    ("what", "status", "line"),
    [
        ({}, 400, "choose a run, a model or a backbone"),
        ({"run": "7"}, 404, "in this store"),
        ({"model": "../../etc/passwd"}, 404, "no adapted model"),
        ({"backbone": "gradient"}, 404, "did you mean"),
        ({"backbone": "sentence-transformers"}, 404, "folder of a model"),
        ({"run": "1", "backbone": "gradients"}, 400, "choose one"),
    ],
)
def test_what_cannot_be_tried_is_told_in_a_line(client, what, status, line):
    answer = client.post("/try/lessons", data=what)
    assert (answer.status_code, line in answer.text) == (status, True)


def test_lessons_are_bounded_in_number_and_in_age(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "MOST", 2)
    now = 0.0
    kept = Lessons(clock=lambda: now)
    with Workspace.at(tmp_path) as workspace:
        lesson = Lesson(open_backbone(workspace.registry, "gradients"))
    first, second = kept.begin(lesson), kept.begin(lesson)
    now = 10.0
    assert kept.of(first) is lesson
    third = kept.begin(lesson)  # in place of the second, which rested longest
    with pytest.raises(NotFoundError, match="this lesson is over"):
        kept.of(second)
    now = 10.0 + bounds.AGE
    assert kept.of(third) is lesson
    now += 1
    for key, there in ((first, False), (third, True), ("", False)):
        if there:
            assert kept.of(key) is lesson
        else:
            with pytest.raises(NotFoundError):
                kept.of(key)


def test_who_waits_for_a_lesson_leaves_threads_for_the_other_pages(tmp_path):
    async def visit(app):
        done = threading.Event()
        turns = [app.state.lessons.in_turn(lambda: done.wait(20)) for _ in range(60)]
        waiting = asyncio.gather(*turns)
        await asyncio.sleep(0.2)
        try:
            async with httpx2.AsyncClient(
                transport=httpx2.ASGITransport(app)
            ) as browser:
                asked = browser.get(f"{HERE}/static/try.css")
                return (await asyncio.wait_for(asked, 10)).status_code
        finally:
            done.set()
            await waiting

    with Workspace.at(tmp_path) as workspace:
        app = application(Site(workspace, ("adapt",)))
        assert asyncio.run(visit(app)) == 200
