"""What can be tried: runs, adapted models of the project, and backbones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from ..adaptation.model_files import model_file, model_files
from ..errors import MetapipeError, UsageError
from ..facts.cells import format_cell

if TYPE_CHECKING:
    from ..adaptation.lesson import Lesson
    from ..store.records import RunRow
    from .site import Site

Kind = Literal["run", "model", "backbone"]

RUNS = 50
"""That are offered: the latest."""

HEADINGS: dict[Kind, str] = {
    "run": "Runs",
    "model": "Adapted models",
    "backbone": "Backbones",
}


@dataclass(frozen=True)
class Teacher:
    """What learns from examples."""

    kind: Kind
    name: str
    """Of a run, its number or its name."""

    text: str = ""
    """What is told of it."""

    @property
    def title(self) -> str:
        """`run 3`."""
        words = {"model": "adapted model"}
        return f"{words.get(self.kind, self.kind)} {self.name}"

    def is_like(self, other: Teacher | None) -> bool:
        """Whether both are the same one."""
        return other is not None and (self.kind, self.name) == (other.kind, other.name)


def asked(given: Mapping[str, str]) -> Teacher | None:
    """The one that an address asks for. Raises UsageError for several."""
    found = [Teacher(k, given[k].strip()) for k in get_args(Kind) if given.get(k)]
    if len(found) > 1:
        raise UsageError("choose one of run, model and backbone")
    return found[0] if found else None


def teachers(site: Site) -> dict[str, list[Teacher]]:
    """All that take pictures, by heading."""
    found: dict[Kind, list[Teacher]] = {
        "run": [*_runs(site)],
        "model": [Teacher("model", name) for name in _files(site)],
        "backbone": [*_backbones(site)],
    }
    return {HEADINGS[kind]: several for kind, several in found.items() if several}


def _files(site: Site) -> list[str]:
    return list(model_files(site.workspace.project.directory))


def _runs(site: Site) -> Iterator[Teacher]:
    with site.store() as store:
        rows = store.runs("status=completed and backbone=null", limit=RUNS)
    for row in rows:
        if _takes_pictures(row, site.registry.encoders):
            yield Teacher("run", str(row.id), _told(row))


def _takes_pictures(row: RunRow, encoders: Any) -> bool:
    kind = (row.problem or {}).get("kind")
    encoder = encoders.get((row.encoder or {}).get("type"))
    return kind == "classification" and encoder is not None and encoder.form == "file"


def _told(row: RunRow) -> str:
    what = f"{row.algorithm} on {row.dataset}"
    name = f"{row.name}, " if row.name else ""
    accuracy = (
        "" if row.accuracy is None else f", {format_cell(row.accuracy, 'accuracy')}"
    )
    return f"{name}{what}{accuracy}"


def _backbones(site: Site) -> Iterator[Teacher]:
    """Those that need no setting, and have here what they need."""
    for entry in site.registry.entries("backbone"):
        if getattr(entry.cls, "form", "") != "file":
            continue
        with suppress(MetapipeError):
            backbone = site.registry.create("backbone", entry.name, {})
            backbone.encoder().check()
            yield Teacher("backbone", entry.name)


def lesson_of(teacher: Teacher, site: Site) -> Lesson:
    """A lesson with what it knows already. Raises MetapipeError if that cannot be."""
    from ..adaptation.adapted_file import load
    from ..adaptation.backbone_run import open_backbone, reopened
    from ..adaptation.lesson import Lesson
    from ..adaptation.open_runs import kept_open

    registry = site.registry
    if teacher.kind == "run":
        with site.store() as store:
            return Lesson(kept_open(site.workspace, store, teacher.name))
    if teacher.kind == "backbone":
        return Lesson(open_backbone(registry, teacher.name))
    path = model_file(site.workspace.project.directory, teacher.name)
    model = load(path, registry)
    if model.origin.backbone and len(model.support.targets):
        return Lesson.going_on(reopened(registry, model), model)
    return Lesson(model)
