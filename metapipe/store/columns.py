"""Values from elsewhere, each as its column takes it: nothing else is let in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Integer, SmallInteger, String

from ..errors import DataError
from . import schema

BITS: Mapping[type, int] = {SmallInteger: 16, Integer: 32, BigInteger: 64}
"""Of the whole numbers that Postgres takes."""

Reader = Callable[[Any], Any]
"""Returns a value, or raises ValueError or TypeError for what is none."""


def typed(table: type[schema.Base], row: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a row that is made of what JSON has. Raises DataError.

    A column that came after the row was written is empty.
    """
    columns = _columns(table)
    if unknown := row.keys() - columns.keys():
        raise DataError(
            f"there is no column '{min(unknown)}' in {table.__tablename__}: a newer "
            "metapipe wrote it"
        )
    values = dict.fromkeys(columns)
    for name, (nullable, read) in columns.items():
        value = row.get(name)
        if value is None and nullable:
            continue
        try:
            values[name] = read(value)
        except (ValueError, TypeError, OverflowError) as error:
            shown = str(value)[:40]
            where = f"{table.__tablename__}.{name}"
            raise DataError(f"{where} cannot be '{shown}'") from error
    return values


@cache
def _columns(table: type[schema.Base]) -> dict[str, tuple[bool, Reader]]:
    """Whether each column may be empty, and what reads its values."""
    return {
        column.name: (bool(column.nullable), _reader(column))
        for column in table.__table__.columns
        if isinstance(column, Column)
    }


def _reader(column: Column[Any]) -> Reader:
    kind = column.type
    if isinstance(kind, schema.UTCDateTime):
        return _time
    if isinstance(kind, schema.Figure):
        return _one_of(float, int)
    if isinstance(kind, Boolean):
        return _one_of(bool)
    if isinstance(kind, Integer):
        return _whole_number(BITS[type(kind)])
    if isinstance(kind, String):
        return _text(kind.length)
    return _one_of(dict)  # JSON


def _time(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError
    moment.timestamp()  # in UTC it may be before year 1
    return moment


def _one_of(*types: type) -> Reader:
    def read(value: Any) -> Any:
        if type(value) not in types:
            raise TypeError
        return value

    return read


def _whole_number(bits: int) -> Reader:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1)

    def read(value: Any) -> int:
        if type(value) is not int or not low <= value < high:
            raise ValueError
        return value

    return read


def _text(length: int | None) -> Reader:
    def read(value: Any) -> str:
        if type(value) is not str or (length is not None and len(value) > length):
            raise ValueError
        return value

    return read
