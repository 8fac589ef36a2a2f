"""Filters and sort orders for the store: a small safe grammar.

    algorithm=maml and accuracy>0.9
    not (status=failed or name~test) and training.lr<=0.001
    created>=2026-11-01 and error=null

    filter     = term { "or" term }
    term       = factor { "and" factor }
    factor     = "not" factor | "(" filter ")" | field operator value
    operator   = "=" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "~" (contains)
    value      = number | word | quoted string | true | false | null

A field is a column, or a setting of the run by its dotted name. Values become bound
parameters; no text of the user's ever becomes SQL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, not_, or_, true

from ..errors import FilterError
from ..printable import is_text
from .fields import Condition, Fields, compare, ordered

QUOTED = 200
"""Characters of a filter that a message quotes."""

TOKEN = re.compile(
    r"\s*(?:(?P<quoted>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<operator>==|!=|<=|>=|=|<|>|~)"
    r"|(?P<bracket>[()])"
    r"|(?P<word>[^\s()=!<>~'\"]+))",
    re.DOTALL,
)
LONGEST = 20_000
"""Characters of a filter: enough for MOST comparisons."""

MOST = 200
"""Comparisons in a filter; databases have a limit of their own, and take long."""

DEEPEST = 50
"""Brackets and negations inside one another; databases have limits of their own."""


def parse(text: str, known: Fields) -> Condition:
    """The condition that `text` states; an empty text is always true.

    Raises FilterError, naming the place and the nearest valid field.
    """
    if not text.strip():
        return true()
    if len(text) > LONGEST:
        raise FilterError(f"a filter of {len(text):,} characters: {LONGEST:,} are most")
    try:
        _require_text(text)
        return _Parser(_tokens(text), known).whole()
    except FilterError as error:
        raise FilterError(f"filter {_shown(text)}: {error}") from error


def order_by(text: str, known: Fields) -> list[ColumnElement[Any]]:
    """The order that `-accuracy,name` asks for; what has no value comes last."""
    order: list[ColumnElement[Any]] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        try:
            field = known.find(part.removeprefix("-").strip())
        except FilterError as error:
            raise FilterError(f"sort {_shown(text)}: {error}") from error
        order += ordered(field, falling=part.startswith("-"))
    return order


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int


class _Parser:
    """Recursive descent, a method for each rule of the grammar."""

    def __init__(self, tokens: list[_Token], known: Fields) -> None:
        self._tokens = tokens
        self._known = known
        self._next = 0
        self._depth = 0
        self._compared = 0

    def whole(self) -> Condition:
        condition = self._filter()
        if self._next < len(self._tokens):
            raise self._unexpected("'and', 'or' or the end")
        return condition

    def _filter(self) -> Condition:
        terms = [self._term()]
        while self._take("word", "or"):
            terms.append(self._term())
        return or_(*terms)

    def _term(self) -> Condition:
        factors = [self._factor()]
        while self._take("word", "and"):
            factors.append(self._factor())
        return and_(*factors)

    def _factor(self) -> Condition:
        self._depth += 1
        if self._depth > DEEPEST:
            raise FilterError(f"nested more than {DEEPEST} deep")
        if self._take("word", "not"):
            condition = not_(self._factor())
        elif self._take("bracket", "("):
            condition = self._filter()
            if not self._take("bracket", ")"):
                raise self._unexpected("')'")
        else:
            condition = self._comparison()
        self._depth -= 1
        return condition

    def _comparison(self) -> Condition:
        self._compared += 1
        if self._compared > MOST:
            raise FilterError(f"more than {MOST} comparisons")
        name = self._expect("word", "a field")
        try:
            field = self._known.find(name.text)
        except FilterError as error:
            raise FilterError(f"{error} (at character {name.position + 1})") from error
        operator = self._expect("operator", "one of = != < <= > >= ~").text
        operator = "=" if operator == "==" else operator
        if self._peek("quoted"):
            quoted = self._expect("quoted", "a value").text
            text = re.sub(r"\\(.)", r"\1", quoted[1:-1], flags=re.DOTALL)
            return compare(field, operator, text, quoted=True)
        value = self._expect("word", "a value")
        return compare(field, operator, value.text, quoted=False)

    def _peek(self, kind: str) -> bool:
        return self._next < len(self._tokens) and self._tokens[self._next].kind == kind

    def _take(self, kind: str, text: str) -> bool:
        if self._peek(kind) and self._tokens[self._next].text.lower() == text:
            self._next += 1
            return True
        return False

    def _expect(self, kind: str, what: str) -> _Token:
        if not self._peek(kind):
            raise self._unexpected(what)
        self._next += 1
        return self._tokens[self._next - 1]

    def _unexpected(self, wanted: str) -> FilterError:
        if self._next >= len(self._tokens):
            return FilterError(f"ends where {wanted} should be")
        token = self._tokens[self._next]
        return FilterError(
            f"{_shown(token.text)} at character {token.position + 1}, where {wanted} "
            "should be"
        )


def _require_text(text: str) -> None:
    """Refuse what no database takes for text."""
    for position, character in enumerate(text, start=1):
        if not is_text(character):
            raise FilterError(f"character {position} is not text")


def _tokens(text: str) -> list[_Token]:
    tokens, position = [], 0
    end = len(text.rstrip())
    while position < end:
        match = TOKEN.match(text, position)
        if match is None:
            raise FilterError(
                f"cannot read from character {position + 1} on; a quote may be open"
            )
        kind = match.lastgroup or ""
        tokens.append(_Token(kind, match[kind], match.start(kind)))
        position = match.end()
    return tokens


def _shown(text: str) -> str:
    """The user's text, or its beginning."""
    return f"'{text}'" if len(text) <= QUOTED else f"'{text[:QUOTED]}...'"
