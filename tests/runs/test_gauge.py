"""What a terminal shows of an evaluation, and where nothing is shown."""

import io
import sys
import time

import pytest
from rich.console import Console

from metapipe.runs import gauge, progress
from metapipe.runs.display import left_of
from metapipe.runs.evaluations import judged, untold
from metapipe.runs.gauge import EvaluationGauge, Gauge, counting


def test_an_evaluation_tells_how_far_it_is_from_none_to_all() -> None:
    told = []
    records = judged(iter(range(70)), "val", 70, lambda *what: told.append(what))  # type: ignore[arg-type]
    assert records == list(range(70))
    assert told == [("val", n, 70) for n in (0, 32, 64, 70)]


def test_a_row_appears_after_a_moment_and_goes_at_the_end(monkeypatch) -> None:
    terminal = io.StringIO()
    console = Console(file=terminal, force_terminal=True, width=80)
    shown = Gauge(console=console, auto_refresh=False)
    row = EvaluationGauge(shown)
    for moment, seen in ((60.0, False), (0.0, True)):
        monkeypatch.setattr(gauge, "MOMENT", moment)
        row.advance("test", 0, 64)
        row.advance("test", 32, 64)
        shown.refresh()
        console.print(shown.get_renderable())
        assert ("test" in terminal.getvalue()) == seen
        row.advance("test", 64, 64)
        assert not shown.tasks


def test_where_there_is_no_terminal_or_it_is_not_wanted_nothing_is_shown(
    capsys, monkeypatch
) -> None:
    for terminal, wanted in ((False, True), (True, False)):
        monkeypatch.setattr(sys.stderr, "isatty", lambda t=terminal: t)
        monkeypatch.setattr(gauge, "MOMENT", 0.0)
        with counting(wanted) as advanced:
            assert advanced is untold
            advanced("test", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_long_test_is_told_of_in_lines_where_there_is_no_terminal(
    capsys, monkeypatch
) -> None:
    lines = progress.Lines()
    now = time.monotonic()
    clock = iter([now, now + 5, now + 20, now + 25, now + 40])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    for done in (0, 32, 64, 96, 128):
        lines.evaluation_advanced("test", done, 128)
    told = capsys.readouterr().err.splitlines()
    assert told == ["test 64/128 episodes  20 s left"]


@pytest.mark.parametrize(
    ("done", "left"), [(0, ""), (1, "3 min 0 s left"), (4, "0 s left")]
)
def test_time_left_is_in_proportion(done: int, left: str) -> None:
    assert left_of(60.0, done, 4) == left
