"""Values as people write them: text on the command line and in the environment, and
paths that are relative to where they stand."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from ..errors import SettingError
from .options import TRAINING, option_names


@dataclass(frozen=True)
class Written:
    """The text of a value, whose type its setting has."""

    text: str

    @property
    def toml(self) -> Any:
        """A TOML value if it is one (`0.1`, `true`, `[1, 2]`), the text otherwise."""
        try:
            found = tomllib.loads(f"value = {self.text}")
        except (ValueError, RecursionError):  # also too many digits, or brackets
            return self.text
        return found["value"] if found.keys() == {"value"} else self.text


def parse_assignment(text: str, option: str = "--set") -> tuple[str, Written]:
    """`training.lr=0.1` as name and value. Raises SettingError."""
    name, separator, value = text.partition("=")
    if not separator or "." not in name:
        meant = option_names(TRAINING).get(name.strip()) if separator else None
        remedy = (
            f"write {meant}={value}"
            if meant
            else "write TABLE.NAME=VALUE, for example algorithm.inner_lr=0.1"
        )
        raise SettingError(f"{option} '{text}' is no assignment: {remedy}")
    return name.strip(), Written(value.strip())


def typed(
    table: str,
    values: Mapping[str, Any],
    cls: type[BaseModel],
    folder: Callable[[str], Path] = lambda _: Path.cwd(),
) -> dict[str, Any]:
    """The values of a settings table as its fields mean them.

    What is written is read as its field's type, so that a name may be `1e5`; a path is
    made a whole one, from `~` or from the folder that it is relative to, which `folder`
    tells by the setting's name. Raises SettingError for text that cannot be kept.
    """
    found = {}
    for name, value in values.items():
        field = cls.model_fields.get(name)
        if isinstance(value, Written):
            value = value.toml if field is None else _meant(value, field)
        if isinstance(value, bool) and field is not None and _is_number(field):
            value = str(value).lower()  # which pydantic would take for 1
        if field is not None and _holds_paths(field.annotation):
            value = _whole(value, folder(name))
        if isinstance(value, str) and "\0" in value:
            raise SettingError(f"{table}.{name} = {value!r}: has a NUL character")
        found[name] = value
    return found


def whole_path(text: str, folder: Path) -> str:
    """A path from `~`, or from the folder that it is relative to."""
    return str(folder / os.path.expanduser(text))  # Path's own may raise


def _meant(written: Written, field: FieldInfo) -> Any:
    """The TOML value, unless the field does not take it and does take text."""
    value, options = written.toml, _options(field.annotation)
    if isinstance(value, str) or not any(map(_is_textual, options)):
        return value
    try:
        TypeAdapter(cast(Any, field.annotation)).validate_python(value)
    except ValidationError:
        return written.text
    return value


def _options(annotation: Any) -> Iterator[Any]:
    """What a union is of; the type itself, if it is none."""
    if get_origin(annotation) in (Union, UnionType):
        for option in get_args(annotation):
            yield from _options(option)
    elif get_origin(annotation) is Annotated:
        yield from _options(get_args(annotation)[0])
    else:
        yield annotation


def _is_textual(option: Any) -> bool:
    if get_origin(option) is Literal:
        return any(isinstance(choice, str) for choice in get_args(option))
    return option in (str, Path)


def _is_number(field: FieldInfo) -> bool:
    return {int, float, NoneType}.issuperset(_options(field.annotation))


def _holds_paths(annotation: Any) -> bool:
    """Whether text in it is a path; where it may be a name as well, it is not."""
    options = list(_options(annotation))
    return str not in options and any(
        option is Path or any(map(_holds_paths, get_args(option))) for option in options
    )


def _whole(value: Any, folder: Path) -> Any:
    if isinstance(value, str | os.PathLike):
        return whole_path(os.fspath(value), folder)
    if isinstance(value, list | tuple):
        return [_whole(item, folder) for item in value]
    return value
