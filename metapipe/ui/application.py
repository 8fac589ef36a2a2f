"""The application: routes, files and errors, behind the guard."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from . import compare, datasets, episodes, plugins, run, runs, try_it
from .faults import Faults
from .guard import Guard, SafeHeaders
from .lessons import Lessons
from .site import Site

PAGES = (runs, run, episodes, compare, datasets, plugins, try_it)
STATIC = Path(__file__).parent / "static"
LARGEST = 16 * 2**20
"""Bytes of a request: more is refused unread."""


def application(site: Site, token: str | None = None) -> Starlette:
    """All pages of a site; whoever asks needs the token, if there is one."""
    app = Starlette(
        routes=[
            Route("/", _first),
            *(route for each in PAGES for route in each.ROUTES),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(SafeHeaders),
            Middleware(Faults),
            Middleware(Guard, token=token),
        ],
        exception_handlers={HTTPException: _raise},  # or Starlette would answer itself
        max_body_size=LARGEST,
    )
    app.state.site = site
    app.state.lessons = Lessons()
    return app


def _raise(request: Request, error: Exception) -> Response:
    raise error


def _first(request: Request) -> RedirectResponse:
    return RedirectResponse("/runs")
