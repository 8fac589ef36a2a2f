"""Downloads from a server on this machine: resumed, checked, and honest offline."""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from metapipe.data.download import download, nothing_fetched
from metapipe.errors import DataError

CONTENT = bytes(range(256)) * 8192  # 2 MiB
CHECKSUM = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT, with ranges; the first request breaks off half way."""

    served: list[tuple[int, int]]
    break_off: bool

    def do_GET(self) -> None:
        header = self.headers.get("Range", "bytes=0-")
        start = int(header.removeprefix("bytes=").rstrip("-"))
        body = CONTENT[start:]
        if start >= len(CONTENT) or "file" not in self.path:
            self.send_error(416 if start else 404)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if type(self).break_off:
            type(self).break_off = False
            body = body[: len(body) // 2]
        type(self).served.append((start, len(body)))
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Keep the test's output quiet."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("METAPIPE_CACHE", str(tmp_path))
    Handler.served, Handler.break_off = [], False
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}/file.zip"
        listening.shutdown()
        thread.join()


def test_who_only_looks_fetches_nothing(server: str) -> None:
    with nothing_fetched():
        with pytest.raises(DataError, match="has to be downloaded first"):
            download(server, CHECKSUM, "x", "")
        assert Handler.served == []
    path = download(server, CHECKSUM, "x", "")
    with nothing_fetched():
        assert download(server, CHECKSUM, "x", "") == path


def test_a_file_is_fetched_once(server: str) -> None:
    path = download(server, CHECKSUM, "x", "")
    assert path.read_bytes() == CONTENT
    assert download(server, CHECKSUM, "x", "") == path
    assert len(Handler.served) == 1


def test_a_broken_download_goes_on_where_it_stopped(server: str) -> None:
    Handler.break_off = True
    with pytest.raises(DataError, match="bytes already here are kept"):
        download(server, CHECKSUM, "x", "")
    path = download(server, CHECKSUM, "x", "")
    assert path.read_bytes() == CONTENT
    (_, first), (start, second) = Handler.served
    assert 0 < start <= first
    assert start + second == len(CONTENT)
    assert not list(path.parent.glob("*.part"))


def test_a_download_that_only_lacked_its_last_step_is_taken(
    server: str, tmp_path: Path
) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "file.zip.part").write_bytes(CONTENT)
    assert download(server, CHECKSUM, "x", "").read_bytes() == CONTENT
    assert Handler.served == []


def test_processes_that_download_at_once_fetch_it_once(server: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        paths = list(pool.map(lambda _: download(server, CHECKSUM, "x", ""), range(3)))
    assert len(set(paths)) == 1
    assert len(Handler.served) == 1


def test_a_file_that_is_not_there_is_told_with_its_status(server: str) -> None:
    with pytest.raises(DataError, match="status 404"):
        download(server.replace("file", "none"), CHECKSUM, "x", "")


def test_a_wrong_file_is_refused_and_not_kept(server: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="checksum differs"):
        download(server, "sha256:" + "0" * 64, "x", "")
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["file.zip.lock"]


def test_offline_says_what_to_do_instead(server: str) -> None:
    url = "http://127.0.0.1:9/file.zip"
    with pytest.raises(DataError, match=r"cannot download .*Point --root") as caught:
        download(url, CHECKSUM, "x", "Point --root somewhere")
    assert "\n" not in str(caught.value)
