"""Command-line options from the fields of settings: said once, at the field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from ..errors import MetapipeError
from ..experiment.options import ALIASES, Pairs, Sections
from ..project_settings import ProcessSettings
from ..section import Section
from .context import App

PLUGINS = {
    "algorithm": "algorithm",
    "model": "model",
    "dataset": "dataset",
    "observers": "observer",
}
"""Options that name plugins, and of which type."""

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class PluginOption(click.Option):
    """An option that names a plugin; its help has the names that there are."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """With the names, unless the plugins cannot be looked at."""
        record = super().get_help_record(ctx)
        try:
            names = ", ".join(self._names(ctx.find_object(App)))
        except (MetapipeError, OSError):  # help is given whatever the project is like
            return record
        return (record[0], f"{record[1]}  [{names}]") if record and names else record

    def _names(self, app: App | None) -> Iterator[str]:
        """Those of its kind; of algorithms those that can be trained."""
        kind = PLUGINS.get(self.name or "")
        for plugin in app.catalogue.plugins if app else ():
            if plugin["kind"] == kind and not plugin["training"]:
                yield plugin["name"]


def setting_options(sections: Sections) -> Decorator:
    """An option for each field of each section; values arrive by the fields' names."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for section in list(sections.values())[::-1]:
            for name, field in list(section.model_fields.items())[::-1]:
                function = _option(name, field)(function)
        return function

    return decorate


def field_options(section: type[Section], names: Mapping[str, str]) -> Decorator:
    """An option for each of these fields of a section, by the names that are given;
    values arrive by those too."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for name, field in list(names.items())[::-1]:
            function = _option(name, section.model_fields[field])(function)
        return function

    return decorate


def _option(name: str, field: FieldInfo) -> Decorator:
    text = " ".join((field.description or "").split())
    default = "" if field.default in (None, ()) else f"  [default: {field.default}]"
    many = get_origin(field.annotation) is tuple and _holds_text(field)
    return click.option(
        *(_flag(each, field) for each in (name, *ALIASES.get(name, ()))),
        name,
        cls=PluginOption if name in PLUGINS else click.Option,
        type=_type(field),
        multiple=many,
        default=None,
        callback=_given if many else None,
        help=f"{text}{' Repeatable.' if many else ''}{default}",
    )


def _flag(name: str, field: FieldInfo) -> str:
    """Of a switch there are two: on and off."""
    words = name.replace("_", "-")
    return f"--{words}/--no-{words}" if field.annotation is bool else f"--{words}"


def _holds_text(field: FieldInfo) -> bool:
    """Whether it is a list of names, each of which is an option of its own."""
    return get_args(field.annotation) == (str, ...)


def _given(_: object, __: object, values: tuple[str, ...]) -> tuple[str, ...] | None:
    """None where the option was not given at all."""
    return values or None


def _type(field: FieldInfo) -> click.ParamType[Any]:
    """What click should check; bounds are pydantic's to refuse, with the same words as
    in the config file, and so is all of a list of anything but names."""
    annotation = field.annotation
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(a for a in get_args(annotation) if a is not NoneType)
    if get_origin(annotation) is Literal:
        return click.Choice(list(get_args(annotation)))
    if get_origin(annotation) is tuple and not _holds_text(field):
        return ListOption()
    known: dict[Any, click.ParamType[Any]] = {
        int: click.INT,
        float: click.FLOAT,
        str: click.STRING,
        bool: click.BOOL,
    }
    while annotation not in known:
        annotation = get_args(annotation)[0]
    return known[annotation]


class ListOption(click.ParamType[Any]):
    """A list, as it is written in the config file."""

    name = "list"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """As `--set` reads it."""
        from ..experiment.written import Written  # as below

        return Written(value)


def _parsed(_: object, __: object, texts: tuple[str, ...]) -> Pairs:
    # imported here, because every command's help imports this module
    from ..experiment.written import parse_assignment

    return [parse_assignment(text) for text in texts]


def set_option_like(example: str) -> Decorator:
    """--set, with an example that the command has a use for."""
    return click.option(
        "--set",
        "-s",
        "settings",
        multiple=True,
        callback=_parsed,
        metavar="TABLE.NAME=VALUE",
        help=f"Any setting, for example -s {example}; may be repeated.",
    )


Processes = int | Literal["auto"]
"""How many there are to be."""


class ProcessCount(click.ParamType[Processes]):
    """A number of processes, or auto."""

    name = "integer|auto"

    def convert(self, value: Any, param: Any, ctx: Any) -> Processes:
        """Refuses anything else."""
        if value == "auto":
            return "auto"
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"{value!r}: take a number from 1 on, or 'auto'", param, ctx)
        return int(value)


processes_option = click.option(
    "--processes",
    type=ProcessCount(),
    help=" ".join((ProcessSettings.model_fields["count"].description or "").split()),
)
evaluation_processes_option = click.option(
    "--processes",
    type=ProcessCount(),
    help="Processes on this machine that share the episodes by whole batches; auto "
    "takes one a GPU, or where there is none as many as the cores suffice for.  "
    "[default: 1]",
)
set_option = set_option_like("algorithm.inner_lr=0.1")
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document for programs."
)
