"""The page served to a real browser, or to a client within the process."""

import os
import shutil
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from metapipe.runs.workspace import Workspace
from metapipe.ui.application import application
from metapipe.ui.permission import Permission
from metapipe.ui.site import Site

SCREENSHOTS = Path(__file__).parents[1] / "build" / "screenshots"
"""Of each page, for people to look at; CI keeps them."""

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def served(project: Path, allowed: Collection[Permission] = ()) -> Iterator[str]:
    """The address of a server in a thread."""
    with Workspace.at(project) as workspace:
        app = application(Site(workspace, allowed))
        config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                thread.join(0.02)
                assert thread.is_alive(), "the server did not start"
            port = server.servers[0].sockets[0].getsockname()[1]
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def browser():
    """A real Chromium, without a screen; skips where there is none."""
    reason = "a browser is wanted: apt install chromium; pip install playwright"
    api = pytest.importorskip("playwright.sync_api", reason=reason)
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        pytest.skip(reason)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with api.sync_playwright() as playwright:
        flags = ["--no-sandbox"] if root else []
        opened = playwright.chromium.launch(executable_path=found, args=flags)
        yield opened
        opened.close()
