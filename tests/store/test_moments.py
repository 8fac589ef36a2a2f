"""Times are asked for as lists show them."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from store_rows import RUN

from metapipe.errors import FilterError
from metapipe.facts.cells import format_cell
from metapipe.store import TaskStore


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def be_in(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield be_in
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def store(store_url: str) -> Iterator[TaskStore]:
    with TaskStore.open(store_url) as opened:
        opened.begin_run(RUN)
        yield opened


@pytest.mark.parametrize(
    "name", ["UTC", "Asia/Tokyo", "America/St_Johns", "Asia/Kolkata"]
)
def test_what_is_shown_finds_what_was_shown(zone, store: TaskStore, name: str) -> None:
    zone(name)
    created = store.runs()[0].created
    minute = format_cell(created)
    day = minute.partition(" ")[0]
    assert minute == created.astimezone(ZoneInfo(name)).strftime("%Y-%m-%d %H:%M")
    for shown in (minute, minute.replace(" ", "T"), day, created.isoformat()):
        for where in (
            f"created='{shown}'",
            f"created>='{shown}'",
            f"created<='{shown}'",
        ):
            assert len(store.runs(where)) == 1, where
        for where in (
            f"created!='{shown}'",
            f"created>'{shown}'",
            f"created<'{shown}'",
        ):
            assert store.runs(where) == [], where


def at(moment: str, monkeypatch: pytest.MonkeyPatch, store: TaskStore) -> None:
    """Enter a run at that time in UTC."""
    found = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    monkeypatch.setattr("metapipe.store.recording.now", lambda: found)
    store.begin_run(RUN)


def test_days_on_which_clocks_are_set(zone, store: TaskStore, monkeypatch) -> None:
    """In Berlin 2026-03-29 has 23 hours, and 2026-10-25 has 25."""
    zone("Europe/Berlin")
    store.delete_run(1)
    moments = ("03-28T22:59", "03-28T23:00", "03-29T21:59", "03-29T22:00")
    for moment in (
        *moments,
        "10-24T21:59",
        "10-24T22:00",
        "10-25T22:59",
        "10-25T23:00",
    ):
        at(f"2026-{moment}", monkeypatch, store)
    assert len(store.runs("created=2026-03-29")) == 2
    assert len(store.runs("created<2026-03-29")) == 1
    assert len(store.runs("created=2026-10-25")) == 2
    assert len(store.runs("created>2026-10-25")) == 1
    assert len(store.runs("created='2026-10-25T22:59Z'")) == 1
    assert len(store.runs("created='2026-10-26T00:00+01:00'")) == 1
    assert len(store.runs("created='2026-10-25T22:59:30Z'")) == 0


@pytest.mark.parametrize(
    "text",
    [
        "99999-01-01",
        "2026-13-01",
        "0001-01-01T00:00+14:00",
        "9999-12-31T23:59-14:00",
        "now",
    ],
)
def test_what_is_no_time_is_said(store: TaskStore, text: str) -> None:
    with pytest.raises(FilterError, match="is a time and cannot be"):
        store.runs(f"created>'{text}'")
