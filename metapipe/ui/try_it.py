"""Try it: a few examples a class, drawn or dropped, and what is made of the next."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from starlette.background import BackgroundTask
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..adaptation.verdict import expectation, is_strange, verdict
from ..errors import DataError, MetapipeError, NotFoundError, UsageError
from ..printable import one_line
from .lessons import Lessons
from .page import named_number, page
from .site import Site, site_of
from .teachers import Kind, Teacher, asked, lesson_of, teachers

if TYPE_CHECKING:
    from ..adaptation.estimate import Estimate
    from ..adaptation.lesson import Lesson

FILES = 100
"""Pictures that are taken at once; how many bytes is bounded for all pages."""

FIELDS = 4

UNSURE = (
    "How sure that is nobody knows, of one example a class: give two or more of each."
)
"""Beside shares that are no confidences."""

Act = Callable[["Visit"], dict[str, Any]]


@dataclass(frozen=True)
class Visit:
    """A request of a visitor within a lesson."""

    request: Request
    key: str
    lesson: Lesson
    given: dict[str, str]
    pictures: list[tuple[str, bytes]]
    """Names and contents of files."""

    def number(self, name: str) -> int:
        """Of a class or an example. Raises NotFoundError for what is none."""
        text = self.request.path_params.get(name) or self.given.get(name, "")
        return named_number(name, text)

    @property
    def name(self) -> str:
        """That was given."""
        return self.given.get("name", "")


def show_choice(request: Request) -> Response:
    """What can be tried; and a sheet to draw on, once it is chosen."""
    chosen, site = asked(request.query_params), site_of(request)
    may = "adapt" in site.allowed
    offered = teachers(site) if may else {}
    known = [each for several in offered.values() for each in several]
    told = next((each.text for each in known if each.is_like(chosen)), "")
    return page(request, "try.html", chosen=chosen, told=told, may=may, offered=offered)


async def begin(request: Request) -> Response:
    """A new lesson."""
    async with request.form(max_files=0, max_fields=FIELDS) as form:
        given = {kind: str(form.get(kind, "")) for kind in get_args(Kind)}
    teacher = asked(given)
    if teacher is None:
        raise UsageError("choose a run, a model or a backbone")
    site, lessons = site_of(request), _lessons(request)
    site.require("adapt")
    return await lessons.in_turn(lambda: _begun(site, lessons, teacher))


def _begun(site: Site, lessons: Lessons, teacher: Teacher) -> Response:
    lesson = lesson_of(teacher, site)
    return JSONResponse(_state(lessons.begin(lesson), lesson), 201)


def _state(key: str, lesson: Lesson) -> dict[str, Any]:
    """What a page shows of a lesson."""
    return {
        "key": key,
        "learns": lesson.learns,
        "ways": lesson.ways,
        "lacks": lesson.lacks,
        "classes": [
            {
                "number": number,
                "name": name,
                "examples": [
                    {"number": n, "name": each.item.name, "seen": each.seen is not None}
                    for n, each in lesson.examples.items()
                    if each.label == number
                ],
            }
            for number, name in lesson.classes.items()
        ],
    }


def add_class(visit: Visit) -> dict[str, Any]:
    """A further class."""
    visit.lesson.add_class(visit.name)
    return {}


def rename(visit: Visit) -> dict[str, Any]:
    """Another name for a class."""
    visit.lesson.rename(visit.number("class"), visit.name)
    return {}


def drop_class(visit: Visit) -> dict[str, Any]:
    """A class fewer."""
    visit.lesson.drop_class(visit.number("class"))
    return {}


def give(visit: Visit) -> dict[str, Any]:
    """Examples of a class."""
    for name, content in visit.pictures:
        with _readable(name):
            visit.lesson.give(visit.number("class"), content, name)
    return {}


def take_back(visit: Visit) -> dict[str, Any]:
    """An example fewer."""
    visit.lesson.take_back(visit.number("example"))
    return {}


def answer(visit: Visit) -> dict[str, Any]:
    """What each of some pictures is."""
    if not visit.pictures:
        raise UsageError("draw something, or choose a picture")
    lesson = visit.lesson
    rows = []
    for name, content in visit.pictures:
        with _readable(name):
            rows += lesson.say([content])
    trust = lesson.model.trust
    return {
        "expected": UNSURE if trust is None else _expected(trust.estimate),
        "answers": [
            {
                "name": name,
                "verdict": _said(row),
                "strange": is_strange(row),
                "calibrated": row["calibrated"],
                "probabilities": row["probabilities"],
                "seen": _inline(lesson.seen(content)),
            }
            for (name, content), row in zip(visit.pictures, rows, strict=True)
        ],
    }


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """A picture that cannot be read is its visitor's fault."""
    from ..adaptation.task_files import named_reason

    try:
        yield
    except DataError as error:
        raise UsageError(named_reason(error, name)) from error


def _said(row: Mapping[str, Any]) -> str:
    """A verdict, which has columns for the terminal, as one line."""
    return ", ".join(part for part in verdict(row).split("  ") if part)


def _expected(estimate: Estimate) -> str:
    return one_line(expectation(estimate))


def _inline(png: bytes | None) -> str | None:
    return None if png is None else f"data:image/png;base64,{b64encode(png).decode()}"


def keep(visit: Visit) -> dict[str, Any]:
    """A file of the project."""
    from ..adaptation.model_files import new_model_file

    site = site_of(visit.request)
    site.require("keep")
    with site.store():  # that it is there, and of this revision
        pass
    path = new_model_file(site.workspace.project.directory, visit.name)
    with replace(site.workspace) as workspace:  # which lets go of the store again
        kept = visit.lesson.kept(workspace, path)
    return {"kept": path.name, "name": path.stem, "run": kept.run}


def seen(request: Request) -> Response:
    """A picture as it reached the network."""
    lesson = _lessons(request).of(request.path_params["key"])
    number = named_number("example", request.path_params["example"])
    example = lesson.examples.get(number)
    if example is None or example.seen is None:
        raise NotFoundError(f"there is no example {number}")
    return Response(example.seen, media_type="image/png")


def _within(act: Act) -> Callable[[Request], Awaitable[Response]]:
    """An act of a visitor, and what the lesson is then."""

    async def respond(request: Request) -> Response:
        async with request.form(max_files=FILES, max_fields=FIELDS) as form:
            pairs = form.multi_items()
            given = {name: value for name, value in pairs if isinstance(value, str)}
            pictures = [
                (each.filename or "picture", await each.read())
                for name, each in pairs
                if name == "picture" and isinstance(each, UploadFile)
            ]
        site_of(request).require("adapt")
        done = partial(_done, act, request, given, pictures)
        return await _lessons(request).in_turn(done)

    return respond


def _done(
    act: Act, request: Request, given: dict[str, str], pictures: list[tuple[str, bytes]]
) -> Response:
    lessons, key = _lessons(request), request.path_params["key"]
    lesson = lessons.of(key)
    found = act(Visit(request, key, lesson, given, pictures))
    ahead = BackgroundTask(_prepare, lessons, lesson)
    return JSONResponse({**_state(key, lesson), **found}, background=ahead)


async def _prepare(lessons: Lessons, lesson: Lesson) -> None:
    """While its visitor draws the next sign; what cannot be is told with the answer."""
    with suppress(MetapipeError):
        await lessons.in_turn(lesson.prepare)


def _lessons(request: Request) -> Lessons:
    found: Lessons = request.app.state.lessons
    return found


def _as_it_is(visit: Visit) -> dict[str, Any]:
    return {}


LESSON = "/try/lessons/{key}"
ROUTES = [
    Route("/try", show_choice),
    Route("/try/lessons", begin, methods=["POST"]),
    Route(LESSON, _within(_as_it_is)),
    Route(f"{LESSON}/classes", _within(add_class), methods=["POST"]),
    Route(f"{LESSON}/classes/{{class}}", _within(rename), methods=["POST"]),
    Route(f"{LESSON}/classes/{{class}}", _within(drop_class), methods=["DELETE"]),
    Route(f"{LESSON}/examples", _within(give), methods=["POST"]),
    Route(f"{LESSON}/examples/{{example}}", seen),
    Route(f"{LESSON}/examples/{{example}}", _within(take_back), methods=["DELETE"]),
    Route(f"{LESSON}/answers", _within(answer), methods=["POST"]),
    Route(f"{LESSON}/model", _within(keep), methods=["POST"]),
]
