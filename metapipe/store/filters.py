"""Filters and sort orders for the store: a small safe grammar.

    algorithm=maml and accuracy>0.9
    not (status=failed or name~test) and training.lr<=0.001
    created>=2026-11-01 and error=null

    filter     = term { "or" term }
    term       = factor { "and" factor }
    factor     = "not" factor | "(" filter ")" | field operator value
    operator   = "=" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "~" (contains)
    value      = number | word | quoted string | true | false | null

A field is a column, or a dotted path into the run's experiment. Values become bound
parameters; no text of the user's ever becomes SQL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

from sqlalchemy import ColumnElement, and_, not_, or_, true
from sqlalchemy.orm import InstrumentedAttribute

from ..errors import FilterError, did_you_mean
from . import schema

Value = str | float | bool | datetime | None
FieldType = Literal["text", "number", "boolean", "time", "json"]

TOKEN = re.compile(
    r"\s*(?:(?P<quoted>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<operator>==|!=|<=|>=|=|<|>|~)"
    r"|(?P<bracket>[()])"
    r"|(?P<word>[^\s()=!<>~'\"]+))"
)
HIDDEN = {"config", "plugins", "environment", "metrics"}
SECTIONS = {"run", "task", "training", "evaluation", "algorithm", "model", "dataset"}
OPERATORS: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
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

    column: Any
    type: FieldType


Fields = Mapping[str, Field]


def run_fields() -> Fields:
    """The columns of a run; dotted paths into its experiment come on top."""
    return _fields(schema.Run, HIDDEN)


def episode_fields() -> Fields:
    """The columns of an episode, and of the evaluation it is of."""
    own = _fields(schema.Episode, {"run_id"})
    purpose = Field(schema.Evaluation.purpose, "text")
    split = Field(schema.Evaluation.split, "text")
    return {**own, "purpose": purpose, "split": split}


def parse(text: str, known: Fields) -> ColumnElement[bool]:
    """The condition that `text` states; an empty text is always true.

    Raises FilterError, naming the place and the nearest valid field.
    """
    return _Parser(text, known).whole() if text.strip() else true()


def order_by(text: str, known: Fields) -> list[ColumnElement[Any]]:
    """The order that `-accuracy,name` asks for; what has no value comes last."""
    order = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        column = _find(part.lstrip("-+"), known, "sort").column
        direction = column.desc() if part.startswith("-") else column.asc()
        order.append(direction.nulls_last())
    return order


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int


class _Parser:
    """Recursive descent, a method for each rule of the grammar."""

    def __init__(self, text: str, known: Fields) -> None:
        self._text = text
        self._known = known
        self._tokens = _tokens(text)
        self._next = 0

    def whole(self) -> ColumnElement[bool]:
        condition = self._filter()
        if self._next < len(self._tokens):
            raise self._unexpected("'and', 'or' or the end")
        return condition

    def _filter(self) -> ColumnElement[bool]:
        terms = [self._term()]
        while self._take_word("or"):
            terms.append(self._term())
        return or_(*terms)

    def _term(self) -> ColumnElement[bool]:
        factors = [self._factor()]
        while self._take_word("and"):
            factors.append(self._factor())
        return and_(*factors)

    def _factor(self) -> ColumnElement[bool]:
        if self._take_word("not"):
            return not_(self._factor())
        if self._take("bracket", "("):
            inside = self._filter()
            if not self._take("bracket", ")"):
                raise self._unexpected("')'")
            return inside
        return self._comparison()

    def _comparison(self) -> ColumnElement[bool]:
        name = self._expect("word", "a field")
        field = _find(name.text, self._known, f"filter '{self._text}'")
        operator = self._expect("operator", "one of = != < <= > >= ~")
        if self._next < len(self._tokens) and self._peek().kind == "quoted":
            value = self._expect("quoted", "a value")
            text = re.sub(r"\\(.)", r"\1", value.text[1:-1])
            return _compare(field, name.text, operator.text, text, quoted=True)
        value = self._expect("word", "a value")
        return _compare(field, name.text, operator.text, value.text, quoted=False)

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, kind: str, text: str) -> bool:
        if self._next < len(self._tokens):
            token = self._peek()
            if token.kind == kind and token.text.lower() == text:
                self._next += 1
                return True
        return False

    def _take_word(self, word: str) -> bool:
        return self._take("word", word)

    def _expect(self, kind: str, what: str) -> _Token:
        if self._next >= len(self._tokens) or self._peek().kind != kind:
            raise self._unexpected(what)
        self._next += 1
        return self._tokens[self._next - 1]

    def _unexpected(self, wanted: str) -> FilterError:
        if self._next >= len(self._tokens):
            return FilterError(f"filter '{self._text}' ends where {wanted} should be")
        token = self._peek()
        return FilterError(
            f"filter '{self._text}': '{token.text}' at character {token.position + 1}, "
            f"where {wanted} should be"
        )


def _tokens(text: str) -> list[_Token]:
    tokens, position = [], 0
    end = len(text.rstrip())
    while position < end:
        match = TOKEN.match(text, position)
        if match is None:
            raise FilterError(
                f"filter '{text}': cannot read from character {position + 1} on; a "
                "quote may be open"
            )
        kind = match.lastgroup or ""
        tokens.append(_Token(kind, match[kind], match.start(kind)))
        position = match.end()
    return tokens


def _find(name: str, known: Fields, where: str) -> Field:
    """The field of that name: a column, or a path into the experiment."""
    if name in known:
        return known[name]
    path = name.removeprefix("config.").split(".")
    if len(path) == 2 and path[0] in SECTIONS and "status" in known:
        return Field(schema.Run.config[path[0]][path[1]], "json")
    hint = did_you_mean(name, known)
    raise FilterError(f"{where}: no field '{name}'; {hint}")


def _compare(
    field: Field, name: str, operator: str, text: str, *, quoted: bool
) -> ColumnElement[bool]:
    operator = "=" if operator == "==" else operator
    value = text if quoted else _value(text)
    if value is None:
        return _compare_null(field, name, operator)
    if operator == "~":
        return _contains(field, name, text)
    column, value = _typed(field, name, value, text)
    if isinstance(value, bool) and operator not in ("=", "!="):
        raise FilterError(f"'{name}' compares with true and false by = and != only")
    return OPERATORS[operator](column, value)


def _compare_null(field: Field, name: str, operator: str) -> ColumnElement[bool]:
    column = field.column.as_string() if field.type == "json" else field.column
    if operator == "=":
        return cast(ColumnElement[bool], column.is_(None))
    if operator == "!=":
        return cast(ColumnElement[bool], column.is_not(None))
    raise FilterError(f"'{name}' compares with null by = and != only")


def _contains(field: Field, name: str, text: str) -> ColumnElement[bool]:
    if field.type not in ("text", "json"):
        raise FilterError(f"'{name}' is no text: ~ does not apply")
    column = field.column.as_string() if field.type == "json" else field.column
    return cast(ColumnElement[bool], column.icontains(text, autoescape=True))


def _typed(field: Field, name: str, value: Value, text: str) -> tuple[Any, Value]:
    """The column and the value in one type; FilterError if they have none."""
    if field.type == "json":
        return _typed_json(field.column, value)
    if field.type == "text":
        return field.column, text
    if field.type == "time":
        return field.column, _time(name, text)
    kinds = {"number": float, "boolean": bool}
    if type(value) is not kinds[field.type]:
        raise FilterError(f"'{name}' is a {field.type} and cannot be '{text}'")
    return field.column, value


def _typed_json(column: Any, value: Value) -> tuple[Any, Value]:
    if isinstance(value, bool):
        return column.as_boolean(), value
    if isinstance(value, float):
        return column.as_float(), value
    return column.as_string(), value


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


def _time(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise FilterError(
            f"'{name}' is a time and cannot be '{text}': write 2026-11-24 or "
            "'2026-11-24T13:00'"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _fields(table: type[schema.Base], hidden: set[str]) -> dict[str, Field]:
    return {
        column.key: Field(getattr(table, column.key), _type(getattr(table, column.key)))
        for column in table.__mapper__.column_attrs
        if column.key not in hidden
    }


def _type(column: InstrumentedAttribute[Any]) -> FieldType:
    if isinstance(column.type, schema.UTCDateTime):
        return "time"
    types: dict[type, FieldType] = {
        str: "text",
        int: "number",
        float: "number",
        bool: "boolean",
    }
    return types[column.type.python_type]
