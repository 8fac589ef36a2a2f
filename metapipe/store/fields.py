"""What can be compared and sorted by: columns, and settings by dotted path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlalchemy import ColumnElement, Text, case, func
from sqlalchemy import cast as cast_sql
from sqlalchemy.orm import InstrumentedAttribute

from ..errors import FilterError, did_you_mean
from ..section import Section
from ..settings import EvaluationSettings, RunSettings, TaskSettings
from ..training_settings import TrainingSettings
from . import moments, schema, tags
from .convert import recipe
from .dialects import ByCode, JsonKind

Value = str | float | bool | None
FieldType = Literal["text", "number", "boolean", "time", "json", "tag"]
Condition = ColumnElement[bool]

HIDDEN = {
    *("config", "plugins", "environment", "metrics", "problem", "encoder"),
    *("origins", "claim"),
}
SECTIONS: Mapping[str, type[Section] | None] = {
    "run": RunSettings,
    "task": TaskSettings,
    "training": TrainingSettings,
    "evaluation": EvaluationSettings,
    "algorithm": None,
    "model": None,
    "dataset": None,
    "backbone": None,
}
"""The tables of an experiment, or of an adaptation without one. What is in the last
four is the plugins' business."""

OPERATORS: Mapping[str, Callable[[Any, Any], Condition]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@dataclass(frozen=True)
class Field:
    """Something that can be compared and sorted by."""

    name: str
    column: Any
    type: FieldType


@dataclass(frozen=True)
class Fields:
    """The fields of a table: columns, and what its documents have by dotted name."""

    columns: Mapping[str, Field]
    within: Callable[[str], Any]
    """The path of a dotted name in a document; None if it is in none."""

    def find(self, name: str) -> Field:
        """The field of that name; FilterError with the nearest one."""
        if name in self.columns:
            return self.columns[name]
        path = self.within(name)
        if path is None:
            hint = did_you_mean(name, self.columns)
            raise FilterError(f"no field '{name}'; {hint}")
        return Field(name, path, "json")


def run_fields(status: ColumnElement[str]) -> Fields:
    """The columns of a run, its tags and the settings of its experiment; `status` is
    that of now."""
    more = [
        Field("status", status, "text"),
        Field("tag", None, "tag"),
        Field("note", schema.Run.notes, "text"),
        Field("return", _return(schema.Run.loss), "number"),
    ]
    columns = _columns(schema.Run, HIDDEN) | {field.name: field for field in more}
    return Fields(columns, _run_path)


def episode_fields() -> Fields:
    """The columns of an episode, the rest of its recipe, and what it was drawn for."""
    drawn = [
        Field("dataset", recipe("dataset"), "text"),
        Field("split", recipe("split"), "text"),
        Field("seed", recipe("seed"), "number"),
        Field("purpose", schema.Evaluation.purpose, "text"),
        Field("return", _return(schema.Episode.loss), "number"),
    ]
    own = _columns(schema.Episode, {"run_id", "figures"})
    return Fields(own | {field.name: field for field in drawn}, _figure_path)


def compare(field: Field, operator: str, text: str, *, quoted: bool) -> Condition:
    """`field operator text`; where text is possible, what is quoted is text.

    What has no value compares with nothing, nor does a setting with a value of another
    type. Raises FilterError if the field cannot have such a value.
    """
    textual = field.type in ("text", "json")
    value = text if quoted and textual else _value(text)
    if field.type == "tag":
        bare = not quoted and value is None
        return tags.compare(operator, None if bare else text)
    if value is None:
        return _compare_null(field, operator)
    if operator == "~":
        return _contains(field, text)
    if field.type == "time":
        return moments.compare(field.column, operator, field.name, text)
    column, typed = _typed(field, value, text)
    if isinstance(typed, bool) and operator not in ("=", "!="):
        raise FilterError(
            f"'{field.name}' compares with true and false by = and != only"
        )
    if isinstance(typed, str) and operator not in ("=", "!="):
        column = ByCode(column)
    return OPERATORS[operator](column, typed)


def ordered(field: Field, *, falling: bool) -> list[ColumnElement[Any]]:
    """The order by that field; what has no value comes last. Raises FilterError."""
    if field.type == "tag":
        raise FilterError("a run has any number of tags: there is no order by them")
    if field.type == "json":
        kinds: tuple[type, ...] = (float, bool, str)
        columns = [_setting(field.column, kind) for kind in kinds]
        columns[-1] = ByCode(columns[-1])
    else:
        columns = [ByCode(field.column) if field.type == "text" else field.column]
    order = [column.desc() if falling else column.asc() for column in columns]
    return [column.nulls_last() for column in order]


def shared(field: Field) -> ColumnElement[Any]:
    """What runs of one group have in common: a column, or a setting as JSON text.

    Raises FilterError for what a run has any number of.
    """
    if field.type == "tag":
        raise FilterError("a run has any number of tags: there is no group by them")
    if field.type == "json":
        return ByCode(func.coalesce(cast_sql(field.column, Text), "null"))
    return ByCode(field.column) if field.type == "text" else field.column


def number(field: Field) -> ColumnElement[Any]:
    """A field as a number. Raises FilterError for one that is none."""
    if field.type not in ("number", "json"):
        raise FilterError(f"'{field.name}' is no number: there is no mean of it")
    column = _setting(field.column, float) if field.type == "json" else field.column
    return cast(ColumnElement[Any], column)


def _return(loss: Any) -> ColumnElement[Any]:
    """Minus a loss of runs that learned to act in worlds; NULL of others."""
    kind = schema.Run.problem[("kind",)].as_string()
    return case((kind == "control", -loss))


def _run_path(name: str) -> Any:
    """The path of a setting, or of a final figure as `metrics.NAME`."""
    document, _, figure = name.partition(".")
    if document == "metrics" and figure:
        return schema.Run.metrics[(figure,)]
    return _setting_path(name)


def _setting_path(name: str) -> Any:
    """The path of a setting. Raises FilterError if its section has no such setting."""
    section, _, setting = name.removeprefix("config.").partition(".")
    if section not in SECTIONS or not setting:
        return None
    known = SECTIONS[section]
    if known is not None and setting not in known.model_fields:
        hint = did_you_mean(setting, known.model_fields)
        raise FilterError(f"no setting '{setting}' in '{section}'; {hint}")
    return schema.Run.config[section, setting]


def _figure_path(name: str) -> Any:
    document, _, figure = name.partition(".")
    if document != "figures" or not figure:
        return None
    return schema.Episode.figures[(figure,)]


def _compare_null(field: Field, operator: str) -> Condition:
    column = field.column.as_string() if field.type == "json" else field.column
    if operator == "=":
        return cast(Condition, column.is_(None))
    if operator == "!=":
        return cast(Condition, column.is_not(None))
    raise FilterError(f"'{field.name}' compares with null by = and != only")


def _contains(field: Field, text: str) -> Condition:
    if field.type not in ("text", "json"):
        raise FilterError(f"'{field.name}' is no text: ~ does not apply")
    column = _setting(field.column, str) if field.type == "json" else field.column
    return cast(Condition, column.icontains(text, autoescape=True))


def _typed(field: Field, value: Value, text: str) -> tuple[Any, Value]:
    """The column and the value in one type; FilterError if they have none."""
    if field.type == "json":
        return _setting(field.column, type(value)), value
    if field.type == "text":
        return field.column, text
    kinds = {"number": float, "boolean": bool}
    if type(value) is not kinds[field.type]:
        raise FilterError(f"'{field.name}' is a {field.type} and cannot be '{text}'")
    return field.column, value


def _setting(path: Any, kind: type) -> ColumnElement[Any]:
    """A setting as text, number or boolean; NULL if it is none of that type.

    Without asking, SQLite would compare text with numbers, and Postgres fail.
    """
    read, kinds = {
        str: (path.as_string, ("text", "string")),
        float: (path.as_float, ("integer", "real", "number")),
        bool: (path.as_boolean, ("true", "false", "boolean")),
    }[kind]
    return case((JsonKind(path.left, path.right).in_(kinds), read()))


def _value(text: str) -> Value:
    """A bare word as what it looks like."""
    words: dict[str, Value] = {"true": True, "false": False, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        number = float(text)
    except ValueError:
        return text
    return number if abs(number) < float("inf") else text


def _columns(table: type[schema.Base], hidden: set[str]) -> dict[str, Field]:
    names = {column.key for column in table.__mapper__.column_attrs} - hidden
    columns = {name: getattr(table, name) for name in sorted(names)}
    return {name: Field(name, col, _type(col)) for name, col in columns.items()}


def _type(column: InstrumentedAttribute[Any]) -> FieldType:
    if isinstance(column.type, schema.UTCDateTime):
        return "time"
    if isinstance(column.type, schema.Figure):
        return "number"
    types: dict[type, FieldType] = {
        str: "text",
        int: "number",
        bool: "boolean",
    }
    return types[column.type.python_type]
