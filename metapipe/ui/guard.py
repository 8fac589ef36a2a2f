"""Who may ask: this machine's user, or who has the token; never another site's page."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
SAFE = ("GET", "HEAD")
"""Methods that change nothing."""

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""What a browser may load and run: files of this server, and nothing within a page."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class SafeHeaders:
    """Puts `HEADERS` on every answer; pages are kept by no browser."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self.app(scope, receive, with_headers)


@dataclass(frozen=True)
class Guard:
    """Lets a request through to `app`, or raises HTTPException.

    Without a token the page is this machine's: the name by which a browser found it has
    to be one of `LOOPBACK`, or another site could have its own name lead here (DNS
    rebinding). With a token, who shows it once gets a cookie.
    """

    app: ASGIApp
    token: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        request = Request(scope)
        answer: ASGIApp | None = self._token_shown(request)
        if answer is None:
            self._require_ours(request)
            answer = self.app
        await answer(scope, receive, send)

    def _token_shown(self, request: Request) -> Response | None:
        """The way to the same address without the token, which a cookie has then."""
        shown = request.query_params.get("token")
        if self.token is None or shown is None or request.method not in SAFE:
            return None
        if not _same(shown, self.token):
            raise HTTPException(401, "that is not the token that metapipe ui printed")
        shown_with = request.query_params.multi_items()
        rest = [(name, value) for name, value in shown_with if name != "token"]
        query = f"?{urlencode(rest)}" if rest else ""
        path = "/" + request.url.path.lstrip("/")  # //name would be another site
        answer = RedirectResponse(f"{path}{query}", 303)
        answer.set_cookie(
            _cookie(request), self.token, httponly=True, samesite="strict"
        )
        return answer

    def _require_ours(self, request: Request) -> None:
        host = request.headers.get("host", "")
        if self.token is None and _name(host) not in LOOPBACK:
            raise HTTPException(
                400, f"this page is at 127.0.0.1 only, and not at '{_name(host)[:100]}'"
            )
        if self.token is not None and not _same(
            request.cookies.get(_cookie(request), ""), self.token
        ):
            raise HTTPException(
                401, "open the whole address that metapipe ui printed, with its token"
            )
        if request.method not in SAFE and not _from_here(request, host):
            raise HTTPException(403, "another site's page may not do that")


def _cookie(request: Request) -> str:
    """Its name, by this server's port: browsers give all ports of a machine one jar."""
    _, port = request.scope.get("server") or ("", None)
    return f"metapipe-token-{port}"


def _from_here(request: Request, host: str) -> bool:
    """Whether a page of this server sent it: browsers say so with every form."""
    origin = request.headers.get("origin", "")
    return origin in (f"http://{host}", f"https://{host}")


def _name(host: str) -> str:
    """`127.0.0.1:6382` -> `127.0.0.1`."""
    name, _, port = host.rpartition(":")
    return (name if name and port.isdecimal() else host).lower()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
