"""Curves on a terminal: the right values, within its width, and none elsewhere."""

import re
import sys

import click
import pytest

from metapipe.cli.plot import can_draw, draw

pytest.importorskip("plotille", reason="pip install plotille")

LINES = {
    "training": [(0, 0.2), (50, 0.6), (100, 0.9)],
    "\x1b[31mred": [(0, 0.2), (100, 0.5)],
}


def on_a_terminal(monkeypatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_line_rises_to_its_value_within_the_width(
    columns, monkeypatch, capsys
) -> None:
    on_a_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", str(columns))
    draw({"training": LINES["training"]}, "accuracy")
    out = capsys.readouterr().out
    assert "\x1b[" in out  # in colour
    lines = click.unstyle(out).splitlines()
    assert max(map(len, lines)) <= columns
    drawn = {
        float(line.split("|")[0]): line.split("|")[1]
        for line in lines
        if re.match(r" *[\d.]+ \|", line)
    }
    last = {level: len(row.rstrip("\u2800 ")) for level, row in drawn.items()}
    inked = [level for level, end in last.items() if end]
    assert 80 < max(inked) <= 100  # the highest is 90 %
    assert 10 < min(inked) <= 20  # the lowest 20 %
    assert last[max(inked)] == max(last.values())  # and it is at the end
    assert last[min(inked)] < max(last.values()) / 2
    assert "accuracy, %" in out
    assert "training" in out


def test_without_colours_lines_are_told_apart_by_signs(monkeypatch, capsys) -> None:
    on_a_terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    draw(LINES, "loss")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "o" in out.split("Legend")[0]
    assert "\\x1b[31mred" in out


def test_nothing_is_drawn_where_it_cannot_be_seen(monkeypatch, capsys) -> None:
    on_a_terminal(monkeypatch)
    assert can_draw()
    monkeypatch.setenv("COLUMNS", "50")
    draw(LINES, "loss")
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("TERM", "dumb")
    assert not can_draw()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert not can_draw()
