"""Episodes: a list, hardest first, and one of them as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import UsageError
from ..facts.cells import Table
from ..facts.episodes import episode_facts, episode_table, no_episodes
from ..store import TaskStore
from ..store.paging import Page
from ..store.records import RunRow
from .page import named_number, page, whole_number
from .pictures import drawn
from .site import Site, site_of
from .status import line_of, status_of

ROWS = 20
"""Of a page, each with a picture that is drawn when it comes into view."""

SORTS = ("hardest", "id", "-id", "accuracy", "-accuracy", "loss", "-loss")


@dataclass(frozen=True)
class Asked:
    """What an address asks for."""

    where: str
    sort: str
    evaluation: int | None
    """Of this one only; of all, and of training, if none is named."""

    begin: Page

    @classmethod
    def of(cls, request: Request) -> Asked:
        """Raises UsageError for what is no number."""
        given = request.query_params
        numbers = {
            name: whole_number(name, given[name], least=0)
            for name in ("evaluation", "after", "offset")
            if given.get(name)
        }
        begin = Page(ROWS, numbers.get("offset", 0), numbers.get("after"))
        where, sort = given.get("where", "").strip(), given.get("sort", "").strip()
        return cls(where, sort or "hardest", numbers.get("evaluation"), begin)

    @property
    def words(self) -> dict[str, Any]:
        """Those of the address, but for where the page begins."""
        return {"where": self.where, "sort": self.sort, "evaluation": self.evaluation}

    def found(
        self, store: TaskStore, row: RunRow
    ) -> tuple[Table, dict[str, int] | None]:
        """The rows, and where the next page begins."""
        hardest = self.sort == "hardest"
        found = store.episodes(
            row.id,
            where=self.where,
            sort="id" if hardest else self.sort,
            evaluation=self.evaluation,
            hardest=ROWS + 1 if hardest else None,
            limit=ROWS + 1,
            offset=self.begin.offset,
            after=self.begin.after,
        )
        table = episode_table(found[:ROWS], acts=row.controls)
        if len(found) <= ROWS:
            return table, None
        if self.sort in ("hardest", "id", "-id"):  # found at once, however deep
            return table, {"after": found[ROWS - 1].id}
        return table, {"offset": self.begin.offset + ROWS}


def show_episodes(request: Request) -> Response:
    """Episodes of a run; what cannot be asked is told above an empty list."""
    line, status, more, table = None, 200, None, Table((), ())
    asked = Asked("", "hardest", None, Page(ROWS))
    with site_of(request).store() as store:
        row = store.run(request.path_params["run"])
        try:
            asked = Asked.of(request)
            table, more = asked.found(store, row)
        except UsageError as error:
            line, status = line_of(error), status_of(error)
        evaluations = store.evaluations(row.id)
        narrowed = bool(asked.where or asked.evaluation)
        none = no_episodes(row.id, store.prunings(row.id), narrowed=narrowed)
    return page(
        request,
        "episodes.html",
        status,
        row=row,
        table=table,
        asked=asked,
        evaluations=evaluations[::-1],
        sorts=SORTS,
        more=more,
        line=line,
        none=none,
    )


def show_episode(request: Request) -> Response:
    """One episode: its numbers, and its picture."""
    with site_of(request).store() as store:
        episode = store.episode(_number(request))
        row = store.run(episode.run_id)
    facts = episode_facts(episode, acts=row.controls)
    figures = facts.pop("figures") or {}
    return page(
        request,
        "episode.html",
        row=row,
        episode=episode,
        facts=[*facts.items(), *figures.items()],
    )


async def show_picture(request: Request) -> Response:
    """The episode drawn again: support, queries, predictions."""
    site, episode = site_of(request), _number(request)
    return await site.in_turn(request, lambda: drawn(lambda: _picture(site, episode)))


def _number(request: Request) -> int:
    """Of the episode of the address. Raises NotFoundError."""
    return named_number("episode", request.path_params["episode"])


def _picture(site: Site, episode_id: int) -> bytes:
    with site.store() as store:
        episode = store.episode(episode_id)
        key = (episode.id, episode.run_id, episode.task, episode.loss)

        def draw(path: Path) -> None:
            from ..runs.pictures import draw_episode  # with torch and matplotlib
            from ..runs.replay import replay

            draw_episode(replay(episode_id, site.registry, store), path)

        return site.pictures.of(key, draw)


ROUTES = [
    Route("/runs/{run}/episodes", show_episodes),
    Route("/episodes/{episode}", show_episode),
    Route("/episodes/{episode}/picture", show_picture),
]
