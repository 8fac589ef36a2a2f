"""What every page is made from: the project, its store, and what is allowed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from ..errors import StoreError
from ..store import mask
from .permission import ForbiddenError, Permission
from .pictures import Pictures

if TYPE_CHECKING:
    from ..experiment.catalogue import Catalogue
    from ..experiment.registry import Registry
    from ..runs.workspace import Workspace
    from ..store import TaskStore


class Site:
    """A project as pages see it. Threads share it."""

    def __init__(self, workspace: Workspace, allowed: Collection[Permission]) -> None:
        self.workspace = workspace
        self.allowed = frozenset(allowed)
        self._plugins = threading.RLock()
        self._turn = asyncio.Lock()
        self.pictures = Pictures()
        self._begun = False
        with self.store():  # a store that cannot be read is told of before the start
            pass

    @contextmanager
    def store(self) -> Iterator[TaskStore]:
        """The store as it is now, opened for one request: it may have been begun,
        migrated, restored or removed since the last one.

        Raises StoreError for one that is gone, OutdatedSchemaError.
        """
        with self.workspace.open_store() as store:
            begun = store.is_begun
            if self._begun and not begun:
                raise StoreError(
                    f"the store {mask(self.workspace.url)} is gone: put it back, or "
                    "start metapipe ui again"
                )
            self._begun = begun
            yield store

    @property
    def registry(self) -> Registry:
        """All plugins, imported when they are first needed."""
        with self._plugins:
            return self.workspace.registry

    @property
    def loaded(self) -> Workspace:
        """The workspace with its plugins, for what takes both from there."""
        with self._plugins:
            self.workspace.registry  # noqa: B018  # kept there
            return self.workspace

    @property
    def catalogue(self) -> Catalogue:
        """What plugins tell of themselves; none is imported."""
        with self._plugins:
            return self.workspace.catalogue

    async def in_turn(self, request: Request, work: Callable[[], Response]) -> Response:
        """What takes a processor and some memory: one after another, in a thread, so
        that nobody who only looks waits; not for a browser that has gone on. Nothing
        is downloaded for it."""

        def here() -> Response:
            with self.workspace.without_downloads():
                return work()

        async with self._turn:
            if await request.is_disconnected():
                return Response(status_code=499)
            return await run_in_threadpool(here)

    def require(self, permission: Permission) -> None:
        """Raise ForbiddenError if that was not allowed."""
        if permission not in self.allowed:
            raise ForbiddenError(
                f"this page may not {permission}: start it with metapipe ui --allow "
                f"{permission}"
            )


def site_of(request: Request) -> Site:
    """The site that a request came to."""
    site: Site = request.app.state.site
    return site
