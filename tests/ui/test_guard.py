"""Who may ask the page, and for what."""

import re
from collections.abc import Callable
from contextlib import contextmanager
from html import unescape
from pathlib import Path

import pytest
from commands import error_line, metapipe
from kept_runs import change, keep_two
from starlette.testclient import TestClient

from metapipe.runs.workspace import Workspace
from metapipe.store import TaskStore, default_url
from metapipe.ui import server
from metapipe.ui.application import application
from metapipe.ui.site import Site

HOME = "http://127.0.0.1:6382"
INLINE = r"<script(?![^>]*src=)|\son\w+=|<[^>]*style=|javascript:"
TOKEN = "a-word-that-nobody-guesses"


def keep(folder: Path) -> None:
    url = f"sqlite:///{folder}/.metapipe/metapipe.db"
    keep_two(url, folder)
    change(url, "UPDATE runs SET config = json_set(config, '$.training.tasks', 4)")


@contextmanager
def client(project: Path, allowed=(), token=None, address=HOME):
    with Workspace.at(project) as workspace:
        app = application(Site(workspace, allowed), token)
        yield TestClient(app, address, follow_redirects=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("guarded")
    keep(folder)
    return folder


def told(answer) -> str:
    """The one line of a fault."""
    found = re.findall(r'class="fault"[^>]*>(.*?)</p>', answer.text, re.DOTALL)
    assert len(found) == 1, answer.text
    return unescape(found[0])


@pytest.mark.parametrize("host", ["localhost:6382", "127.0.0.1", "[::1]:6382"])
def test_this_machine_may_ask(project: Path, host: str) -> None:
    with client(project) as page:
        assert page.get("/runs", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example:6382", "127.0.0.1.evil.example", ""])
def test_another_name_for_this_machine_is_refused(project: Path, host: str) -> None:
    """A site may have its own name lead here, and read what a browser shows it."""
    with client(project) as page:
        answer = page.get("/runs", headers={"host": host})
        assert answer.status_code == 400
        assert told(answer).startswith("this page is at 127.0.0.1 only")


def test_every_answer_lets_no_script_in_and_stands_in_no_frame(project: Path) -> None:
    with client(project) as page:
        for path in ("/runs", "/nothing", "/static/style.css", "/runs/1"):
            answer = page.get(path)
            policy = answer.headers["content-security-policy"]
            assert "script-src 'self'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            inline = re.findall(
                r"<script(?![^>]*src=)|\son\w+=|style=|javascript:", answer.text
            )
            assert answer.headers["content-type"].startswith("text/css") or not inline


@pytest.mark.parametrize(
    ("origin", "status"),
    [(HOME, 303), ("http://evil.example", 403), ("null", 403), (None, 403)],
)
def test_only_a_page_of_ours_changes_anything(
    tmp_path: Path, origin: str | None, status: int
) -> None:
    keep(tmp_path)
    with client(tmp_path, ("delete",)) as page:
        headers = {"origin": origin} if origin else {}
        assert page.post("/runs/1/delete", headers=headers).status_code == status
        assert page.get("/runs/1").status_code == (404 if status == 303 else 200)


def test_files_of_others_are_left_alone_and_told_of(tmp_path: Path) -> None:
    keep(tmp_path)
    with TaskStore.open(default_url(tmp_path)) as store:
        folder = Path(store.run(1).directory)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.txt").write_text("mine")
    with client(tmp_path, ("delete",)) as page:
        answer = page.post("/runs/1/delete", headers={"origin": HOME})
    assert answer.status_code == 200
    assert f"{folder}: other files are in it" in unescape(answer.text)
    assert (folder / "mine.txt").exists()


def test_nothing_is_changed_unless_that_is_allowed(project: Path) -> None:
    with client(project, ("adapt", "keep")) as page:
        assert "/delete" not in page.get("/runs/1").text
        answer = page.post("/runs/1/delete", headers={"origin": HOME})
        assert answer.status_code == 403
        assert told(answer) == (
            "this page may not delete: start it with metapipe ui --allow delete"
        )
        assert page.get("/runs/1").status_code == 200
        assert page.get("/runs/1/delete").status_code == 405


def test_beyond_this_machine_a_token_is_shown_once(project: Path) -> None:
    with client(project, token=TOKEN, address="http://lab.example:6382") as page:
        answer = page.get("/runs")
        assert answer.status_code == 401
        assert "token" in told(answer)
        assert page.get("/runs?token=wrong").status_code == 401
        answer = page.get(f"/runs?where=id%3D1&token={TOKEN}")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/runs?where=id%3D1"
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert cookie.startswith("metapipe-token-6382=")  # a jar has no ports
        answer = page.get("/runs?where=id%3D1")
        assert answer.status_code == 200
        assert TOKEN not in answer.text
        page.cookies.clear()
        assert page.get("/static/style.css").status_code == 401


def test_the_token_leads_to_no_other_site(project: Path) -> None:
    with client(project, token=TOKEN) as page:
        answer = page.get(f"{HOME}//evil.example/?token={TOKEN}")
        assert answer.headers["location"] == "/evil.example/"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../site.py",
        "/static/%2e%2e/site.py",
        "/static/..%2f..%2fversion.py",
        "/static//etc/passwd",
        "/episodes/../../etc/passwd",
    ],
)
def test_no_path_leads_out(project: Path, path: str) -> None:
    with client(project) as page:
        assert page.get(path).status_code == 404


def test_a_port_that_is_taken_is_one_line(project: Path, tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = error_line("ui", "--port", port, "--no-browser", cwd=tmp_path, code=2)
    assert line == f"port {port} of 127.0.0.1 is taken; name another by --port"


def test_a_store_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "other.db").write_text("no database at all, but a text of some length")
    for name, needed in (("gone.db", "gone.db"), ("other.db", "not a database")):
        url = f"sqlite:///{tmp_path}/{name}"
        out, err = metapipe("--db", url, "ui", "--no-browser", cwd=tmp_path, code=1)
        assert len(err.splitlines()) == 1
        assert needed in err
        assert out == ""


@pytest.mark.parametrize("token", [False, True])
def test_no_token_is_among_the_arguments_of_a_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: bool
) -> None:
    opened: list[str] = []

    class AtOnce:
        def __init__(self, _: float, do: Callable[[str], None], args: list[str]):
            self.start = lambda: do(*args)

    monkeypatch.setattr(server.threading, "Timer", AtOnce)
    monkeypatch.setattr(server.webbrowser, "open", opened.append)
    monkeypatch.setattr(server.uvicorn.Server, "run", lambda *_, **__: None)
    told: list[str] = []
    with Workspace.at(tmp_path) as workspace:
        server.serve(workspace, told.append, port=0, token=token)
    assert ("?token=" in told[0]) == token
    assert len(opened) == (not token)
