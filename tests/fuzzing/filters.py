"""`--where` and `--sort`, made by their grammar and asked of a store."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random

from metapipe.errors import FilterError
from metapipe.store import TaskStore

from .target import Target
from .values import number, text

TEXTS = ("name", "status", "algorithm", "error", "tag", "training.schedule")
NUMBERS = (
    "id",
    "seed",
    "shots",
    "training.lr",
    "algorithm.inner_lr",
    "config.run.seed",
)
TIMES = ("created", "finished")
MISSPELT = ("algorthm", "training.x", "x", "model.", "accuracy", "git_dirty")
FIELDS = (*TEXTS, *NUMBERS, *TIMES, *MISSPELT)
OPERATORS = ("=", "==", "!=", "<", "<=", ">", ">=")
ODD = ("=~", "<>", "", "~")
DATES = ("2026-11-01", "2026-11-01T10:00", "2026-11-01T10:00+09:00", "2026-01")
ODD_DATES = ("99999-01-01", "2026-13-01", "10:00+99:00", "0000-00-00")


def make(random: Random) -> tuple[str, str]:
    """A filter and an order."""
    where = _filter(random, random.choice((0, 1, 1, 2, 4)))
    if random.random() < 0.1:
        place = random.randrange(len(where) + 1)
        where = where[:place] + text(random) + where[place + 1 :]
    if random.random() < 0.02:
        where = random.choice(("(", "not ")) * random.choice((60, 3000)) + where
    if random.random() < 0.01:
        where = " or ".join([where] * 300)
    sort = random.choice(("id", "-id", "name,-seed", "-training.lr", " -created "))
    if random.random() < 0.2:
        sort = random.choice(("--", "+", "-,", "")) + random.choice(FIELDS)
    return where, sort


def _filter(random: Random, depth: int) -> str:
    if not depth:
        return _comparison(random)
    match random.randrange(4):
        case 0:
            return f"not {_filter(random, depth - 1)}"
        case 1:
            return f"({_filter(random, depth - 1)})"
        case _:
            word = random.choice(("and", "or", "AND", "and", "or", "Or", "xor"))
            sides = _filter(random, depth - 1), _filter(random, depth - 1)
            return f"{sides[0]} {word} {sides[1]}"


def _comparison(random: Random) -> str:
    blank = random.choice(("", " "))
    if random.random() < 0.1:
        sides = random.choice(FIELDS), random.choice((*OPERATORS, *ODD)), _odd(random)
        return blank.join(sides)
    match random.randrange(3):
        case 0:
            operator = random.choice((*OPERATORS, "~"))
            sides = random.choice(TEXTS), operator, _word(random)
        case 1:
            value = random.choice((str(number(random)), "null", "0.01", "1"))
            sides = random.choice(NUMBERS), random.choice(OPERATORS), value
        case _:
            sides = random.choice(TIMES), random.choice(OPERATORS), random.choice(DATES)
    return blank.join(sides)


def _word(random: Random) -> str:
    if random.random() < 0.5:
        return random.choice(("maml", "completed", "protonet", "x"))
    quote = random.choice("'\"")
    return quote + text(random).replace(quote, "") + quote


def _odd(random: Random) -> str:
    return random.choice((random.choice(ODD_DATES), text(random), str(number(random))))


def filters(store: TaskStore) -> Target:
    """Asked of the runs and of the episodes of a store."""

    def read(made: tuple[str, str], _: Path) -> None:
        where, sort = made
        with suppress(FilterError):  # an episode has other fields
            store.episodes(1, where=where, limit=3)
        store.runs(where, sort=sort, limit=3)

    return Target("filters", make, read)
