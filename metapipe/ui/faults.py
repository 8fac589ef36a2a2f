"""Errors as pages: one line, and the status that says whose fault it is."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .page import page
from .status import line_of, status_of

TITLES = {
    400: "That cannot be asked",
    401: "A token is needed",
    403: "That is not allowed",
    404: "Not here",
    405: "That cannot be asked",
    503: "The store cannot be used",
}


@dataclass(frozen=True)
class Faults:
    """Answers with a page where `app` raises; Starlette itself would have errors of
    ours raised again, with a traceback on the terminal."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; what fails in the middle of an answer breaks it off."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            if begun:
                raise
            await fault_page(Request(scope), error)(scope, receive, send)


def fault_page(request: Request, error: Exception) -> Response:
    """The page for an error."""
    if isinstance(error, HTTPException):
        status, line = error.status_code, error.detail
        line = f"there is no page {request.url.path}" if line == "Not Found" else line
    else:
        status, line = status_of(error), line_of(error)
    title = TITLES.get(status, "That failed")
    return page(request, "fault.html", status, title=title, line=line)
