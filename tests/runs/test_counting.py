"""How far one is, on stderr: nothing of what is quick."""

import pytest

from metapipe.runs import counting


@pytest.fixture
def clock(monkeypatch):
    """Seconds, which go on as the test says."""
    now = [0.0]
    monkeypatch.setattr(counting.time, "monotonic", lambda: now[0])
    return now


def went_through(clock, seconds, count=5):
    for number in counting.counted(range(count), count, "reading"):
        clock[0] += seconds
        yield number


@pytest.mark.parametrize("terminal", [True, False])
def test_what_is_quick_is_not_told(clock, capsys, monkeypatch, terminal):
    monkeypatch.setattr(counting, "can_draw", lambda: terminal)
    assert list(went_through(clock, 0.1)) == [0, 1, 2, 3, 4]
    out, err = capsys.readouterr()
    assert (out, err) == ("", "")


def test_a_line_tells_how_much_is_left(clock, capsys, monkeypatch):
    monkeypatch.setattr(counting, "can_draw", lambda: False)
    assert list(went_through(clock, 11)) == [0, 1, 2, 3, 4]
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[:2] == [
        "reading  1/5  44 s left",
        "reading  2/5  33 s left",
    ]
    assert len(err.splitlines()) == 4


def test_a_bar_is_drawn_on_a_terminal(clock, capsys, monkeypatch):
    monkeypatch.setattr(counting, "can_draw", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert list(went_through(clock, 2)) == [0, 1, 2, 3, 4]
    out, err = capsys.readouterr()
    assert out == ""
    assert "reading" in err
    assert "/5" in err
