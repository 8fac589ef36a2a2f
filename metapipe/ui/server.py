"""The server: a port, the application on it, and a browser that opens it."""

from __future__ import annotations

import errno
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable, Collection
from contextlib import suppress

import uvicorn

from ..errors import UsageError
from ..runs.workspace import Workspace
from .application import application
from .permission import Permission
from .site import Site

PORT = 6382
"""META on the keys of a telephone."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    workspace: Workspace,
    tell: Callable[[str], None],
    *,
    host: str = LOOPBACK[0],
    port: int | None = None,
    allowed: Collection[Permission] = (),
    token: bool = False,
    browser: bool = True,
) -> None:
    """Serve the page until it is interrupted; `tell` says where it is.

    Without a `port` it is the usual one, or another that is free. Beyond this machine
    it always needs a token; with one, no browser is opened. Raises UsageError for a
    host or a port that cannot be had, StoreError for a store that cannot be read.
    """
    site = Site(workspace, allowed)
    listening = _listen(host, port)
    secret = secrets.token_urlsafe(24) if token or host not in LOOPBACK else None
    place = f"[{host}]" if ":" in host else host
    address = f"http://{place}:{listening.getsockname()[1]}/"
    if secret is not None:
        address += f"?token={secret}"
    tell(f"metapipe is at {address} (Ctrl-C ends it)")
    if host not in LOOPBACK:
        tell(
            "beware: others may read along, for there is no TLS: use this on networks "
            "that you trust, or put a proxy with TLS before it"
        )
    # Once the server answers; it may take a browser seconds to come. None is given a
    # token: other users of this machine see what a program is started with.
    if browser and secret is None:
        threading.Timer(0.3, webbrowser.open, (address,)).start()
    config = uvicorn.Config(
        application(site, secret),
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        ws="none",
    )
    with listening, suppress(KeyboardInterrupt):  # which is how it ends
        uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int | None) -> socket.socket:
    """A socket at the port, or at any if the usual one is taken and none was named."""
    if port is not None:
        return _bound(host, port)
    try:
        return _bound(host, PORT)
    except UsageError:
        return _bound(host, 0)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(100)  # so that a second server is told at once
    except OSError as error:
        found.close()
        taken = error.errno == errno.EADDRINUSE
        advice = "name another by --port" if taken else "check --host and --port"
        what = "is taken" if taken else f"cannot be had: {error.strerror or error}"
        raise UsageError(f"port {port} of {host} {what}; {advice}") from error
    return found
