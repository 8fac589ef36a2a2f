"""A database in use: its transactions, and its errors in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ..errors import StoreError
from .engine import connect, home, mask, writing


class Database:
    """The database at a URL; nothing is opened before it is used.

    All its methods raise StoreError, in one line and without the password, if the
    database cannot be reached or used.
    """

    def __init__(self, url: str) -> None:
        self.engine = connect(url)
        self.masked = mask(url)
        self.home = home(self.engine.url)

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def kept(self, path: str | Path) -> str:
        """A path as the database keeps it: relative to its home where it lies below,
        so that the folder of a project can be moved."""
        if self.home is None:
            return str(path)
        for whole in (Path(path).absolute(), Path(path).resolve()):
            if whole.is_relative_to(self.home):
                return whole.relative_to(self.home).as_posix()
        return str(path)

    def found(self, kept: str) -> str:
        """Where that path is now."""
        return kept if self.home is None else str(self.home / kept)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One transaction that changes nothing."""
        with self.translated(), Session(self.engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """One transaction: committed at the end, or not at all."""
        with (
            self.translated(),
            Session(writing(self.engine), expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the database's errors into one line."""
        try:
            yield
        except (SQLAlchemyError, UnicodeEncodeError) as error:
            raise StoreError(
                f"the store {self.masked} failed: {reason(error)}"
            ) from error


def reason(error: Exception) -> str:
    """What the database says, in one line."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
