"""What databases call by other names."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from sqlalchemy import String
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from .schema import Base


class JsonKind(GenericFunction[str]):
    """What a JSON document has at a path, as the database calls it."""

    type = String()
    name = "json_type"
    inherit_cache = True


@compiles(JsonKind, "postgresql")
def _postgres_kind(function: JsonKind, compiler: Any, **options: Any) -> str:
    document, path = (compiler.process(part, **options) for part in function.clauses)
    return f"json_typeof({document} #> {path})"


class ByCode(GenericFunction[str]):
    """Text that is compared by the numbers of its characters, in every database and
    language alike."""

    type = String()
    name = "by_code"
    inherit_cache = True


@compiles(ByCode)
def _as_it_is(function: ByCode, compiler: Any, **options: Any) -> str:
    return str(compiler.process(*function.clauses, **options))


@compiles(ByCode, "postgresql")
def _postgres_by_code(function: ByCode, compiler: Any, **options: Any) -> str:
    return f'({compiler.process(*function.clauses, **options)}) COLLATE "C"'


@cache
def replacing(table: type[Base], dialect: str) -> Any:
    """An insertion whose rows replace those of the same key."""
    # By name: a dialect takes a while to import, and nobody needs both.
    insert = import_module(f"sqlalchemy.dialects.{dialect}").insert
    statement = insert(table.__table__)
    keys = [column.name for column in table.__table__.primary_key]
    rest = {
        column.name: statement.excluded[column.name]
        for column in table.__table__.columns
        if column.name not in keys
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=rest)
