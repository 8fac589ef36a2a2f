"""Command-line options from the fields of settings: said once, at the field."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from ..errors import SettingError
from ..settings import Section

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
ALIASES = {"algorithm": ("--plugin",), "optimiser": ("--optimizer",)}


def setting_options(
    sections: Mapping[str, type[Section]], leave_out: frozenset[str] = frozenset()
) -> Decorator:
    """An option for each field of each section; values arrive as `section__field`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for section, cls in list(sections.items())[::-1]:
            for name, field in list(cls.model_fields.items())[::-1]:
                if name not in leave_out:
                    function = _option(section, name, field)(function)
        return function

    return decorate


def given_settings(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The options that were given, by dotted name."""
    return [
        (name.replace("__", "."), value)
        for name, value in values.items()
        if "__" in name and value is not None
    ]


def by_table(
    assignments: Sequence[str], tables: Sequence[str], what: str
) -> dict[str, dict[str, Any]]:
    """Values of --set by table and name; `what` is what takes no other tables."""
    from ..experiment.resolve import parse_assignment

    found: dict[str, dict[str, Any]] = {table: {} for table in tables}
    for name, value in map(parse_assignment, assignments):
        table, _, field = name.partition(".")
        if table not in found:
            known = " and ".join(f"{table}.NAME" for table in tables)
            raise SettingError(f"--set '{name}': {what} takes {known} only")
        found[table][field] = value
    return found


def _option(section: str, name: str, field: FieldInfo) -> Decorator:
    text = " ".join((field.description or "").split())
    default = "" if field.default is None else f"  [default: {field.default}]"
    return click.option(
        f"--{name.replace('_', '-')}",
        *ALIASES.get(name, ()),
        f"{section}__{name}",
        type=_type(field),
        help=f"{text}{default}",
    )


def _type(field: FieldInfo) -> click.ParamType[Any]:
    """What click should check; bounds are pydantic's to refuse, with the same words as
    in the config file."""
    annotation = field.annotation
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(a for a in get_args(annotation) if a is not NoneType)
    if get_origin(annotation) is Literal:
        return click.Choice(list(get_args(annotation)))
    known: dict[Any, click.ParamType[Any]] = {
        int: click.INT,
        float: click.FLOAT,
        str: click.STRING,
    }
    while annotation not in known:
        annotation = get_args(annotation)[0]
    return known[annotation]


set_option = click.option(
    "--set",
    "-s",
    "assignments",
    multiple=True,
    metavar="TABLE.NAME=VALUE",
    help="Any setting, for example -s algorithm.inner_lr=0.1; may be repeated.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document for programs."
)
