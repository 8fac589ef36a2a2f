"""A page: a template filled with data, which is never markup."""

from __future__ import annotations

from functools import cache
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from ..errors import NotFoundError, UsageError
from ..facts.cells import format_cell
from ..printable import printable
from ..version import __version__
from .site import site_of

NAVIGATION = (
    ("Runs", "/runs"),
    ("Compare", "/compare"),
    ("Data sets", "/datasets"),
    ("Plugins", "/plugins"),
    ("Try it", "/try"),
)
"""What stands at the top of every page."""


def page(
    request: Request, template: str, status: int = 200, **context: Any
) -> HTMLResponse:
    """The template of that name, filled."""
    query = f"?{request.url.query}" if request.url.query else ""
    common = {
        "navigation": NAVIGATION,
        "here": request.url.path,
        "address": request.url.path + query,
        "allowed": site_of(request).allowed,
        "version": __version__,
    }
    text = templates().get_template(template).render({**common, **context})
    return HTMLResponse(text, status)


def whole_number(name: str, text: str, *, least: int = 1) -> int:
    """A number of an address. Raises UsageError."""
    if not (
        text.isascii() and text.isdecimal() and len(text) < 19 and int(text) >= least
    ):
        raise UsageError(f"{name} '{text[:20]}': a number from {least} on is wanted")
    return int(text)


def named_number(name: str, text: str) -> int:
    """The number of a thing, such as an episode. Raises NotFoundError for what is no
    number, or one that nothing has."""
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise NotFoundError(f"there is no {name} '{text[:20]}'")
    return int(text)


def lines(text: str) -> Markup:
    """Text of several lines, each fit to be read."""
    return Markup("\n").join(printable(line) for line in text.splitlines())


@cache
def templates() -> Environment:
    """Those of this room. Whatever is put into one is escaped, and fit to be read."""
    environment = Environment(
        loader=PackageLoader("metapipe.ui"),
        autoescape=True,
        finalize=_readable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(cell=format_cell, lines=lines, query=_query)
    return environment


def _readable(value: Any) -> Any:
    """Text without what turns its direction or is not seen."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value)
    return value


def _query(values: dict[str, Any], **changed: Any) -> str:
    """`{"where": "a=b", "sort": ""}` -> `where=a%3Db`; what is empty is left out."""
    both = {**values, **changed}
    return urlencode({k: v for k, v in both.items() if v not in ("", None)}, doseq=True)
