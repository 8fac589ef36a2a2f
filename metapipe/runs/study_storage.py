"""Optuna's studies, in the database of our store."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from ..errors import NotFoundError, StoreError, UsageError, did_you_mean
from ..store import TaskStore

if TYPE_CHECKING:
    import optuna

LOCK = "sweep"
SCHEMA = "optuna"
"""Where its tables are on Postgres; in SQLite they stand beside ours."""

PLAN = "metapipe"
"""What we keep with a study of ours."""

BUSY_SECONDS = 60


def require_optuna() -> Any:
    """The library. Raises UsageError with the command that brings it."""
    try:
        import optuna
    except ImportError as error:
        raise UsageError(
            "metapipe sweep needs Optuna: pip install 'metapipe[sweep]'"
        ) from error
    optuna.logging.disable_default_handler()
    return optuna


def storage(url: str) -> Any:
    """Optuna's tables in a database, made if they are not there: not by two at once."""
    from optuna.storages import RDBStorage

    if make_url(url).get_backend_name() == "sqlite":
        return RDBStorage(url, {"connect_args": {"timeout": BUSY_SECONDS}})
    with create_engine(url).begin() as connection:
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    options = {"options": f"-csearch_path={SCHEMA}"}
    return RDBStorage(url, {"connect_args": options, "pool_pre_ping": True})


def load(name: str, store: TaskStore, url: str) -> optuna.Study:
    """A search to look at. Raises NotFoundError with the nearest name."""
    found = {study.study_name: study for study in load_all(store, url)}
    if name not in found:
        hint = did_you_mean(name, found)
        raise NotFoundError(f"no sweep '{name}' in this store; {hint}")
    return found[name]


def load_all(store: TaskStore, url: str) -> list[optuna.Study]:
    """The searches of a database by their names, without other studies that are in it;
    nothing is made in one that has none."""
    library = require_optuna()
    with understood(store):
        if not _is_begun(url):
            return []
        kept = storage(url)
        known = library.get_all_study_summaries(kept, include_best_trial=False)
        names = sorted(each.study_name for each in known if PLAN in each.user_attrs)
        return [library.load_study(study_name=name, storage=kept) for name in names]


def _is_begun(url: str) -> bool:
    """Whether its tables are there."""
    parsed = make_url(url)
    server = parsed.get_backend_name() != "sqlite"
    if not server and not Path(str(parsed.database)).exists():
        return False
    engine = create_engine(url)
    try:
        return inspect(engine).has_table("studies", SCHEMA if server else None)
    finally:
        engine.dispose()


@contextmanager
def understood(store: TaskStore) -> Iterator[None]:
    """Turn the errors of its storage into one line, without what is secret, and leave
    out its warnings that an interface may change."""
    from optuna.exceptions import ExperimentalWarning, StorageInternalError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    except (StorageInternalError, SQLAlchemyError) as error:
        reason = str(getattr(error, "orig", None) or error.__cause__ or "it failed")
        raise StoreError(
            f"the sweep in {store.url_masked} failed: {reason.splitlines()[0]}"
        ) from error
