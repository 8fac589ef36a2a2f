"""Values that people and programs write, the odd ones more often than they do."""

from __future__ import annotations

from random import Random
from typing import Any

ODD_TEXTS = (
    *("", " ", "\t", "\n", "\r\n", "\0", "\x1b[31m", "\u202e", "\ufeff", "\ud800"),
    *("é", "e\u0301", "字", "🙂", "a" * 300, "nan", "NaN", "inf", "-inf", "null"),
    *("None", "true", "TRUE", "1e5", "1e400", "0x10", "1_000", "-0", "+1", "01"),
    *("2024", "2024-02-30", "2026-01-01T00:00:00Z", "10:00", "[1, 2]", "{a = 1}"),
    *("../x", "/etc/passwd", "~", "~nobody", "C:\\x", "a=b", "'", '"', "\\", "%s"),
    *("{}", "$HOME", ";", "--", "-h", "#", "*", "()", "a,b", "=1+1"),
)
ODD_NUMBERS = (
    *(0, 1, -1, 2, 3, 5, 7, 64, 255, 256, 2**31 - 1, 2**31, 2**32, 2**53, 2**63),
    *(-(2**63), 2**64, 10**30, 10**400, 0.0, -0.0, 0.5, 1e-9, 1e-320, 1e38, 1e39),
    *(1e200, 1e308, float("nan"), float("inf"), float("-inf")),
)


def text(random: Random) -> str:
    """A word, an odd text, or any characters."""
    match random.randrange(4):
        case 0:
            return random.choice(("rose", "tulip", "c0", "c1", "café", "x y"))
        case 1:
            return random.choice(ODD_TEXTS)
        case 2:
            return "".join(chr(random.randrange(1, 0x250)) for _ in range(8))
        case _:
            return random.choice(ODD_TEXTS) + random.choice(ODD_TEXTS)


def number(random: Random) -> int | float:
    """An odd number, or a common one."""
    match random.randrange(3):
        case 0:
            return random.choice(ODD_NUMBERS)
        case 1:
            return random.randrange(-10, 1000)
        case _:
            return random.uniform(-10, 10)


def value(random: Random, depth: int = 2) -> Any:
    """Anything that JSON has."""
    kinds = 7 if depth else 4
    match random.randrange(kinds):
        case 0:
            return text(random)
        case 1:
            return number(random)
        case 2:
            return random.choice((True, False))
        case 3:
            return None
        case 4:
            return [value(random, depth - 1) for _ in range(random.randrange(4))]
        case 5:
            keys = range(random.randrange(4))
            return {text(random): value(random, depth - 1) for _ in keys}
        case _:
            found: Any = value(random, 0)
            for _ in range(random.choice((1, 5, 60, 3000))):
                found = [found]
            return found


def changed(random: Random, known: Any) -> Any:
    """JSON with one place in it changed: dropped, replaced, doubled or made deep."""
    if isinstance(known, dict) and known and random.random() < 0.8:
        key = random.choice(list(known))
        return {**known, key: changed(random, known[key])}
    if isinstance(known, list) and known and random.random() < 0.8:
        place = random.randrange(len(known))
        return [*known[:place], changed(random, known[place]), *known[place + 1 :]]
    match random.randrange(5):
        case 0 if isinstance(known, dict) and known:
            gone = random.choice(list(known))
            return {k: v for k, v in known.items() if k != gone}
        case 1 if isinstance(known, dict):
            return {**known, text(random): value(random)}
        case 2 if isinstance(known, list):
            return known * random.choice((0, 2, 3, 1000))
        case 3 if isinstance(known, int | float) and not isinstance(known, bool):
            return random.choice((known + 1, -known, known * 1000, known // 3))
        case _:
            return value(random)


def damaged(random: Random, content: bytes) -> bytes:
    """Bytes with a few of them changed, cut, doubled or put in."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 5))):
        place = random.randrange(len(data) + 1)
        match random.randrange(6):
            case 0:
                del data[place:]
            case 1:
                data[place:place] = random.randbytes(random.choice((1, 4, 100)))
            case 2:
                data[place : place + 4] = b"\xff\xff\xff\xff"[: len(data) - place]
            case 3:
                del data[place : place + random.randrange(1, 50)]
            case _ if place < len(data):
                data[place] ^= 1 << random.randrange(8)
    return bytes(data)
