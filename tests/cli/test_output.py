"""What is printed acts on no terminal, in any language, and into a closed pipe."""

import csv
import io
import json
import os
import subprocess
import sys
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from commands import error_line, metapipe
from store_rows import RUN

from metapipe.cli.output import print_csv, print_facts, print_json, print_table
from metapipe.errors import DataError
from metapipe.printable import printable
from metapipe.store import TaskStore, default_url

HOSTILE = "a\x1b[31m\x1b]0;t\x07\r\n\t\x9b\u202eb\u2066\u200b\u2028\ufeff\U000e0041\x7f"
SHOWN = HOSTILE.encode("unicode_escape").decode()
PERSIAN, EMOJI = "\u06a9\u0645\u200c\u0686", "\U0001f469\u200d\U0001f680"
SOUND = ("café", "猫", PERSIAN, EMOJI, "a\u0301", "\u00a0")
"""With joiners, which these need."""


def acting(text: str) -> set[str]:
    """Characters that a terminal obeys, by Unicode's own tables."""
    joiners = "\u200c\u200d"
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return {c for c in text if unicodedata.category(c) in kinds} - {"\n", *joiners}


def test_what_acts_is_written_as_python_writes_it() -> None:
    assert printable(HOSTILE) == SHOWN
    assert printable(os.fsdecode(b"caf\xe9")) == "caf\\xe9"
    assert [printable(text) for text in SOUND] == list(SOUND)
    assert str(DataError(f"cannot read {HOSTILE}")) == f"cannot read {SHOWN}"


def test_every_form_of_output_is_safe_and_json_is_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = {HOSTILE: HOSTILE, "list": [HOSTILE, "\udcff"], "none": None}
    print_table([row], tuple(row))
    print_facts(row.items())
    print_csv([row], tuple(row))
    text = capsys.readouterr().out
    assert acting(text) == set()
    assert len(text.splitlines()) == 2 + 2 + 2
    cells = list(csv.reader(io.StringIO("\n".join(text.splitlines()[-2:]))))
    assert cells[1][0] == SHOWN
    assert cells[1][2] == ""
    print_json([row])
    text = capsys.readouterr().out
    assert acting(text) == set()
    assert json.loads(text) == [row]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of an earlier version, which took any name."""
    folder = tmp_path_factory.mktemp("output")
    with TaskStore.open(default_url(folder)) as store:
        run = replace(RUN, name=HOSTILE, dataset=HOSTILE, directory=f"/{HOSTILE}")
        number = store.begin_run(run)
        store.note(number, HOSTILE)
        store.finish_run(number, "failed", error=HOSTILE)
        store.begin_run(replace(RUN, name="\u00e9\u732b"))
    return folder


@pytest.mark.parametrize(
    "command",
    [
        ("runs", "list"),
        ("runs", "list", "--csv"),
        ("runs", "list", "--json"),
        ("runs", "show", "1"),
        ("runs", "compare", "1", "2"),
    ],
)
def test_nothing_from_a_store_acts(project: Path, command: tuple[str, ...]) -> None:
    out, err = metapipe(*command, cwd=project)
    assert acting(out + err) == set()
    assert ("\\u202e" in out) == (command[1] != "compare")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["runs", "show", f"{HOSTILE}?"], 1),
        (["runs", "list", "--where", f"{HOSTILE}=1"], 2),
        (["runs", "list", "--sort", HOSTILE], 2),
        (["runs", HOSTILE], 2),
        ([HOSTILE], 2),
        ([f"--{HOSTILE}"], 2),
        (["train", "-s", f"{HOSTILE}=1"], 2),
        (["train", "--name", HOSTILE], 2),
        (["train", "--ways", HOSTILE], 2),
        (["predict", f"/{HOSTILE}", HOSTILE], 1),
        (["--config", f"/{HOSTILE}", "train"], 2),
        (["runs", "show"], 2),
        (["train", "--nmae", "x"], 2),
        (["runs", "list", "--limit", "0"], 2),
    ],
)
def test_an_error_is_one_line(project: Path, arguments: list[str], code: int) -> None:
    out, err = metapipe(*arguments, cwd=project, code=code)
    assert out == ""
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert acting(err) == set()


def test_a_usage_error_says_where_to_read_on(project: Path) -> None:
    line = error_line("train", "--ways", "x", cwd=project, code=2)
    assert line.endswith("; see 'metapipe train --help'")


def run(command: str, project: Path, **environment: str) -> subprocess.CompletedProcess:
    """A command line of a shell, as it is."""
    whole = f'metapipe() {{ {sys.executable} -m metapipe "$@"; }}; {command}'
    return subprocess.run(
        ["bash", "-c", whole],
        cwd=project,
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )


def test_a_pipe_may_be_closed(project: Path) -> None:
    done = run("metapipe plugins list | true; echo ${PIPESTATUS[0]}", project)
    assert (done.stdout, done.stderr) == (b"0\n", b"")


def test_messages_that_nobody_reads_change_nothing(project: Path) -> None:
    command = "metapipe runs show nobody 2>&1 >/dev/null | true; echo ${PIPESTATUS[0]}"
    assert run(command, project).stdout == b"1\n"


def test_output_that_cannot_be_kept_is_a_failure(project: Path) -> None:
    done = run("metapipe runs list >/dev/full", project)
    assert done.returncode == 1
    assert done.stderr.startswith(b"Error: ")
    assert done.stderr.count(b"\n") == 1


def test_a_terminal_of_ascii_shows_all_names(project: Path) -> None:
    ascii_only = {
        "LANG": "C",
        "LC_ALL": "C",
        "PYTHONIOENCODING": "ascii",
        "PYTHONUTF8": "0",
    }
    done = run("metapipe runs list && metapipe runs list --json", project, **ascii_only)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode("ascii")
    assert "\\xe9\\u732b" in text
    found = json.loads(text[text.index("[\n") :])
    assert [row["name"] for row in found] == ["\u00e9\u732b", HOSTILE]


def test_no_cell_of_csv_is_a_formula_and_numbers_stay(capsys) -> None:
    row = {
        "=a": "=cmd|' /C calc'!A0",
        "b": "-3.5",
        "c": -3.5,
        "d": "@x",
        "e": "+rose-",
        "f": "a=b",
        "g": "-inf",
    }
    print_csv([row], tuple(row))
    header, cells = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == ["'=a", "b", "c", "d", "e", "f", "g"]
    assert cells == [
        "'=cmd|' /C calc'!A0",
        "-3.5",
        "-3.5",
        "'@x",
        "'+rose-",
        "a=b",
        "'-inf",
    ]
