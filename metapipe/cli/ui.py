"""`metapipe ui`."""

from __future__ import annotations

from importlib.util import find_spec
from typing import get_args

import click

from ..errors import UsageError
from ..ui.permission import Permission
from .context import App, pass_app
from .output import echo

NEEDED = ("starlette", "uvicorn", "jinja2")


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="0 is any that is free.  [default: 6382, or any if that is taken]",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="An address of this machine; others than loopback need a token.",
)
@click.option(
    "--token", is_flag=True, help="Ask for a token also on loopback; open no browser."
)
@click.option("--no-browser", is_flag=True, help="Open no browser.")
@click.option(
    "--allow",
    "allowed",
    multiple=True,
    type=click.Choice(get_args(Permission)),
    help="What the page may do beside showing; may be repeated.",
)
@pass_app
def ui(
    app: App,
    port: int | None,
    host: str,
    token: bool,
    no_browser: bool,
    allowed: tuple[Permission, ...],
) -> None:
    """Look at runs, episodes, data sets and plugins in a browser.

    The page is on this machine only and changes nothing, unless you say otherwise.
    """
    if any(find_spec(name) is None for name in NEEDED):
        raise UsageError("metapipe ui needs Starlette: pip install 'metapipe[ui]'")
    from ..ui.server import serve

    serve(
        app,
        echo,
        host=host,
        port=port,
        allowed=allowed,
        token=token,
        browser=not no_browser,
    )
