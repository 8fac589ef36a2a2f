"""Data sets: which there are, what is in one, and sample episodes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import UnknownNameError, did_you_mean
from ..facts.datasets import SHOWN, dataset_table, shared_line, split_table
from .page import page, whole_number
from .pictures import drawn
from .site import Site, site_of

if TYPE_CHECKING:
    from ..dataset import Source

SHAPE = {"ways": 5, "shots": 1, "queries": 5, "seed": 0}
"""Of a sample episode, if the address has no others."""

MOST = {"ways": 20, "shots": 20, "queries": 20, "seed": 2**31 - 1}


def show_datasets(request: Request) -> Response:
    """The data sets that can be used."""
    table = dataset_table(site_of(request).catalogue.plugins)
    return page(request, "datasets.html", table=table)


async def show_dataset(request: Request) -> Response:
    """What is in the splits of one, opened with the settings of the project."""
    name, shape = _name(request), _shape(request)
    site = site_of(request)
    return await site.in_turn(request, lambda: _dataset(request, name, shape))


async def show_samples(request: Request) -> Response:
    """Sample episodes of the training split, as a picture."""
    name, shape = _name(request), _shape(request)
    site = site_of(request)
    return await site.in_turn(
        request, lambda: drawn(lambda: _samples(site, name, shape))
    )


def _dataset(request: Request, name: str, shape: Mapping[str, int]) -> Response:
    from ..runs.dataset_report import report  # with torch

    found = report(site_of(request).loaded, name, [])
    classes = {split: _classes(s) for split, s in found.sources.items()}
    images = all(len(s.facts.shape) == 3 for s in found.sources.values())
    return page(
        request,
        "dataset.html",
        name=name,
        splits=split_table(found.sources),
        line=shared_line(found.shared, found.sources),
        shared=[" = ".join(members) for members in found.shared[:SHOWN]],
        settings=list(found.settings.items()),
        classes={split: named for split, named in classes.items() if named},
        pictured=images and any(classes.values()),
        shape=shape,
    )


def _samples(site: Site, name: str, shape: Mapping[str, int]) -> bytes:
    def draw(path: Path) -> None:
        from ..runs.dataset_report import Pictured, report

        report(site.loaded, name, [], Pictured(path, **shape))

    return site.pictures.of((name, *shape.values()), draw)


def _classes(source: Source) -> list[tuple[str, Any]]:
    """Names and numbers of items; of those not counted, an empty text."""
    names, sizes = source.facts.classes, source.facts.sizes
    return list(zip(names, sizes, strict=True)) if sizes else [(n, "") for n in names]


def _name(request: Request) -> str:
    """The data set of the address. Raises UnknownNameError."""
    name: str = request.path_params["name"]
    plugins = site_of(request).catalogue.plugins
    known = [plugin["name"] for plugin in plugins if plugin["kind"] == "dataset"]
    if name not in known:
        raise UnknownNameError(f"no data set '{name}'; {did_you_mean(name, known)}")
    return name


def _shape(request: Request) -> dict[str, int]:
    """Raises UsageError for what is no number; more than a page can show is cut."""
    given = request.query_params
    return {
        name: min(
            whole_number(name, given.get(name, str(usual)), least=name != "seed"),
            MOST[name],
        )
        for name, usual in SHAPE.items()
    }


ROUTES = [
    Route("/datasets", show_datasets),
    Route("/datasets/{name}", show_dataset),
    Route("/datasets/{name}/samples", show_samples),
]
