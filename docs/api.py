"""The public API as Markdown, from signatures and docstrings."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

from sphinx.pycode import ModuleAnalyzer
from sphinx.util.inspect import signature, stringify_signature
from sphinx.util.typing import stringify_annotation

DOORS = (
    "metapipe",
    "metapipe.numerics",
    "metapipe.data",
    "metapipe.store",
    "metapipe.testing",
)
"""The modules that are promised to users and plugin authors, and nothing else is."""


MODULE = re.compile(r"\b(?:[a-z_]+\.)+(?=[A-Z])")
"""In front of a type in a signature: names alone are easier to read."""


def api_pages() -> dict[str, str]:
    """A page a door. Raises ValueError for a public name that nobody explains."""
    found = {f"{door}.md": _page(door) for door in DOORS}
    names = "\n".join(DOORS)
    found["index.md"] = (
        "# Python\n\nWhat is not here is not promised.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{names}\n```\n"
    )
    return found


def public(module: ModuleType) -> list[str]:
    """What `__all__` says, or what is defined there and has no underscore."""
    stated = getattr(module, "__all__", None)
    if stated is not None:
        return list(stated)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (
            getattr(value, "__module__", None) == module.__name__
            if inspect.isclass(value) or inspect.isfunction(value)
            else ("", name) in _attributes(module.__name__)
        )
    ]


def _page(door: str) -> str:
    module = import_module(door)
    if not module.__doc__:
        raise ValueError(f"{door} has no docstring")
    lines = [f"# `{door}`", "", inspect.cleandoc(module.__doc__), ""]
    lines += [f"```{{py:module}} {door}", "```", ""]
    for name in public(module):
        lines += [*_member(door, name, getattr(module, name)), ""]
    return "\n".join(lines)


def _member(door: str, name: str, value: Any) -> Iterator[str]:
    full = f"{door}.{name}"
    if inspect.isclass(value):
        yield from _class(full, value)
    elif inspect.isfunction(value):
        yield from _described("py:function", full + _signature(value), value, full)
    else:
        yield from _data(door, name, value)


def _class(full: str, cls: type) -> Iterator[str]:
    """A class, its documented fields, and the methods that are its own."""
    kind = "py:exception" if issubclass(cls, BaseException) else "py:class"
    body = list(_members_of(full, cls))
    yield from _described(kind, full + _constructor(cls), cls, full, body, fence=5)


def _members_of(full: str, cls: type) -> Iterator[str]:
    fields = _attributes(cls.__module__)
    annotations = inspect.get_annotations(cls)
    for name in vars(cls) | annotations:
        if name.startswith("_"):
            continue
        value = inspect.getattr_static(cls, name, None)
        if isinstance(value, property):
            returns = value.fget.__annotations__.get("return", "")
            yield from _described(
                "py:property", name, value.fget, full, note=f":type: {returns}"
            )
        elif isinstance(value, staticmethod | classmethod | FunctionType):
            yield from _method(full, name, value)
        elif (cls.__name__, name) in fields:
            text = "\n".join(fields[cls.__name__, name])
            note = f":type: {annotations[name]}" if name in annotations else ""
            yield from ["", f"````{{py:attribute}} {name}", note, "", text, "````"]


def _method(full: str, name: str, value: Any) -> Iterator[str]:
    note, bound = "", True
    if isinstance(value, staticmethod | classmethod):
        note, bound = f":{type(value).__name__}:", isinstance(value, classmethod)
        value = value.__func__
    shown = name + _signature(value, drop_first=bound)
    yield from _described("py:method", shown, value, full, note=note)


def _described(
    directive: str,
    head: str,
    value: Any,
    full: str,
    body: Iterable[str] = (),
    note: str = "",
    fence: int = 4,
) -> Iterator[str]:
    """A directive with a docstring, which has to be there."""
    text = value.__doc__ if inspect.isclass(value) else inspect.getdoc(value)
    if not text:
        raise ValueError(f"{full} is public and has no docstring")
    ticks = "`" * fence
    yield from ["", f"{ticks}{{{directive}}} {head}", *([note] if note else []), ""]
    yield from [inspect.cleandoc(text), *body, ticks]


def _data(door: str, name: str, value: Any) -> Iterator[str]:
    """A constant, an alias or a marker: what stands under it, or else what it is."""
    text = next(
        (
            "\n".join(_attributes(module)["", name])
            for module in _loaded()
            if getattr(sys.modules[module], name, None) is value
            and ("", name) in _attributes(module)
        ),
        "",
    )
    shown = _words(value)
    if not text and not shown:
        text = (type(value).__doc__ or "").strip().split("\n\n")[0]
    if not text and not shown:
        raise ValueError(f"{door}.{name} is public and nobody explains it")
    yield from ["", f"````{{py:data}} {door}.{name}"]
    yield from [*([f":value: {shown}"] if shown else []), "", text, "````"]


def _words(value: Any) -> str:
    """A constant or an alias as it would be written; nothing for other objects."""
    if hasattr(value, "__origin__"):
        return MODULE.sub("", stringify_annotation(value))
    return repr(value) if isinstance(value, int | float | str | tuple) else ""


def _constructor(cls: type) -> str:
    """Of records and of classes with an `__init__` of their own; settings of pydantic's
    are told one by one."""
    own = "__init__" in vars(cls) or hasattr(cls, "_fields")
    if not own or hasattr(cls, "model_fields"):
        return ""
    return _signature(cls, returns=False)


def _signature(value: Any, drop_first: bool = False, returns: bool = True) -> str:
    found = signature(value, bound_method=drop_first)
    shown = stringify_signature(found, show_return_annotation=returns)
    return MODULE.sub("", shown)


@cache
def _attributes(module: str) -> dict[tuple[str, str], list[str]]:
    """Texts under assignments, by class ("" for none) and name."""
    return ModuleAnalyzer.for_module(module).find_attr_docs()


def _loaded() -> list[str]:
    return sorted(name for name in sys.modules if name.split(".")[0] == "metapipe")
