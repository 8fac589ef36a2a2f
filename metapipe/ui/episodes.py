"""Episodes: a list, hardest first, and one of them as a picture."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import UsageError
from ..facts.cells import Table
from ..facts.episodes import episode_facts, episode_table, no_episodes
from ..store import TaskStore
from ..store.paging import Page
from ..store.records import RunRow
from .page import page, whole_number
from .pictures import drawn
from .site import Site, site_of
from .status import line_of, status_of

ROWS = 20
"""Of a page, each with a picture that is drawn when it comes into view."""

SORTS = ("hardest", "id", "-id", "accuracy", "-accuracy", "loss", "-loss")


def show_episodes(request: Request) -> Response:
    """Episodes of a run; what cannot be asked is told above an empty list."""
    where = request.query_params.get("where", "").strip()
    sort = request.query_params.get("sort", "").strip() or "hardest"
    line, status, more = None, 200, None
    with site_of(request).store() as store:
        row = store.run(request.path_params["run"])
        try:
            table, more = _page(store, row, where, sort, _begin(request))
        except UsageError as error:
            table, line, status = Table((), ()), line_of(error), status_of(error)
        none = no_episodes(row.id, store.prunings(row.id), narrowed=bool(where))
    return page(
        request,
        "episodes.html",
        status,
        row=row,
        table=table,
        words={"where": where, "sort": sort},
        sorts=SORTS,
        more=more,
        line=line,
        none=none,
    )


def show_episode(request: Request) -> Response:
    """One episode: its numbers, and its picture."""
    with site_of(request).store() as store:
        episode = store.episode(request.path_params["episode"])
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
    site, episode = site_of(request), request.path_params["episode"]
    return await site.in_turn(request, lambda: drawn(lambda: _picture(site, episode)))


def _picture(site: Site, episode_id: int) -> bytes:
    with site.store() as store:
        episode = store.episode(episode_id)
        key = (episode.id, episode.run_id, episode.task, episode.loss)

        def draw(path: Path) -> None:
            from ..runs.pictures import draw_episode  # with torch and matplotlib
            from ..runs.replay import replay

            draw_episode(replay(episode_id, site.registry, store), path)

        return site.pictures.of(key, draw)


def _page(
    store: TaskStore, row: RunRow, where: str, sort: str, begin: Page
) -> tuple[Table, dict[str, int] | None]:
    """The rows, and where the next page begins."""
    hardest = sort == "hardest"
    found = store.episodes(
        row.id,
        where=where,
        sort="id" if hardest else sort,
        hardest=ROWS + 1 if hardest else None,
        limit=ROWS + 1,
        offset=begin.offset,
        after=begin.after,
    )
    table = episode_table(found[:ROWS], acts=row.controls)
    if len(found) <= ROWS:
        return table, None
    if sort in ("hardest", "id", "-id"):  # found at once, however deep
        return table, {"after": found[ROWS - 1].id}
    return table, {"offset": begin.offset + ROWS}


def _begin(request: Request) -> Page:
    """Where the page begins. Raises UsageError."""
    given = request.query_params
    after = whole_number("after", given["after"]) if "after" in given else None
    offset = whole_number("offset", given.get("offset", "0"), least=0)
    return Page(ROWS, offset, after)


ROUTES = [
    Route("/runs/{run}/episodes", show_episodes),
    Route("/episodes/{episode:int}", show_episode),
    Route("/episodes/{episode:int}/picture", show_picture),
]
