"""Where a store is: its URL as it is written, completed, and shown without secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from ..errors import StoreError, StoreUrlError, did_you_mean

NEEDED = "use sqlite:///FILE or postgresql://USER@HOST/DATABASE"
NOWHERE = "sqlite://"
"""The URL of a store that nobody has begun: it is empty, and nothing is kept."""

SUFFIXES = (".db", ".sqlite", ".sqlite3")
"""What is a file's name without being a URL."""

MODES = ("ro", "rw", "rwc")
"""Of SQLite's own URLs; what is not `ro` is as always."""

OPEN = {
    "mode": re.compile("ro"),
    "host": re.compile("[A-Za-z0-9_./:,-]*"),
    "port": re.compile("[0-9,]*"),
    "sslmode": re.compile("disable|allow|prefer|require|verify-ca|verify-full"),
    "connect_timeout": re.compile("[0-9]*"),
}
"""Options that may be shown, if they are what they should be: any other value may be a
password in the wrong place."""


def default_url(directory: Path) -> str:
    """The store of a project: SQLite in `.metapipe/` beside its config file."""
    return _text(_file(directory.resolve() / ".metapipe" / "metapipe.db"))


def whole_url(url: str, folder: Path) -> str:
    """The URL with the whole path of a file, which is relative to `folder` or from `~`.

    Raises StoreUrlError.
    """
    return _text(read(url, folder))


def read(url: str, folder: Path | None = None) -> URL:
    """What a user wrote, which may also be a file's name or a URL of SQLite's own.

    A file is relative to `folder`, the working directory if not given. Raises
    StoreUrlError, whose message has nothing of the URL that may be secret.
    """
    text = url.strip()
    if text.startswith("file:") or ("://" not in text and _is_file(text)):
        text = f"sqlite:///{text}"
    try:
        parsed = make_url(text)
    except (ArgumentError, ValueError) as error:
        plain = set("@:= ").isdisjoint(text)
        hint = f" (for a file: sqlite:///{text})" if plain and text else ""
        raise StoreUrlError(
            f"the store's URL cannot be read: {NEEDED}{hint}"
        ) from error
    family = parsed.get_backend_name()
    if family == "sqlite":
        return _sqlite(parsed, folder or Path.cwd())
    if family in ("postgresql", "postgres"):
        return _postgres(parsed)
    raise StoreUrlError(f"no store for '{family}' URLs: {NEEDED}")


def mask(url: str) -> str:
    """The URL without its password, which may also be among the options."""
    if url == NOWHERE:
        return "(none yet)"
    try:
        parsed = read(url)
    except StoreUrlError:
        return "(unreadable URL)"
    hidden = {
        name: "***" for name, value in _options(parsed) if _is_secret(name, value)
    }
    shown = parsed.set(drivername=parsed.get_backend_name()).update_query_dict(hidden)
    return shown.render_as_string(hide_password=True).replace("%2A%2A%2A", "***")


def without_secrets(message: str, url: URL) -> str:
    """A database's message without what the URL keeps to itself."""
    secrets = [value for name, value in _options(url) if _is_secret(name, value)]
    if url.password:
        secrets.append(str(url.password))
    words = {word for each in secrets for word in (each, *each.split(), *_parts(each))}
    for word in sorted(words, key=len, reverse=True):
        for form in (word, quote(word, safe=""), quote_plus(word)):
            if len(form) > 2:  # shorter ones are parts of any word
                message = message.replace(form, "***")
    return message


def require_file(url: str) -> None:
    """Raise StoreError if `url` is a SQLite file that is not there."""
    found = read(url)
    if not is_there(found):
        raise StoreError(
            f"there is no task store at {found.database}: check --db, or train a run"
        )


def is_there(url: URL) -> bool:
    """Whether its file is there; a server is asked when it is used."""
    return url.get_backend_name() != "sqlite" or Path(str(url.database)).exists()


def home(url: URL) -> Path | None:
    """The folder that a store lies in; None for one on a server."""
    if url.get_backend_name() != "sqlite" or not url.database:
        return None
    return Path(url.database).resolve().parent


def _is_file(text: str) -> bool:
    return text.endswith(SUFFIXES) and set("=@;").isdisjoint(text)


def _sqlite(url: URL, folder: Path) -> URL:
    path, mode = url.database or "", str(url.query.get("mode", "rwc"))
    if url.host:
        raise StoreUrlError("a file has three slashes: use sqlite:///FILE")
    if path.startswith("file:"):
        path = unquote(path.removeprefix("file:"))
        path = path.removeprefix("//") if path.startswith("///") else path
    if path in ("", ":memory:") or mode == "memory":
        raise StoreUrlError("the store has to outlive the process: use sqlite:///FILE")
    for name in sorted({*url.query} - {"mode", "immutable", "uri"}):
        hint = did_you_mean(name, ("mode", "immutable"))
        raise StoreUrlError(f"a SQLite URL has no option '{name}'; {hint}")
    if mode not in MODES:
        raise StoreUrlError(f"mode={mode}: {did_you_mean(mode, MODES)}")
    if path.startswith("$"):
        raise StoreUrlError(
            f"variables are not replaced in the store's URL ({path}): write ~ or the "
            "whole path"
        )
    if "\0" in path:
        raise StoreUrlError("the store's URL has a NUL character")
    only_read = mode == "ro" or url.query.get("immutable") == "1"
    return _file(folder / os.path.expanduser(path), only_read)


def _postgres(url: URL) -> URL:
    """By psycopg, whatever driver is named. A sign that should have been escaped leaves
    a part of the password in the host or the name of the database."""
    places = (url.host or "", url.database or "", url.username or "")
    if any(sign in place for place in places[:2] for sign in "@#") or "/" in places[0]:
        raise StoreUrlError(
            "the store's URL cannot be read: in user and password write @ as %40, : as "
            "%3A, / as %2F, # as %23 and % as %25"
        )
    return url.set(drivername="postgresql+psycopg")


def _file(path: Path, only_read: bool = False) -> URL:
    query = {"mode": "ro"} if only_read else {}
    return URL.create("sqlite", database=str(path), query=query)


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _options(url: URL) -> Iterator[tuple[str, str]]:
    for name, values in url.query.items():
        for value in (values,) if isinstance(values, str) else values:
            yield name, value


def _is_secret(name: str, value: str) -> bool:
    return not (name in OPEN and OPEN[name].fullmatch(value))


def _parts(text: str) -> list[str]:
    """`-c password=x` also as `x`."""
    return re.split(r"[=\s]+", text)[1:]
