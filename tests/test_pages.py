"""What the pages tell you to type is typed, in order, a folder a page, and they print
what they say: numbers may differ, words may not.

A page is Markdown. Run are the blocks ```console (each line that begins with `$ `) and
```python. A file that a page shows by `{literalinclude}` with a caption is there under
that name. `<!-- not run: WHY -->` above a block leaves it out, and NOT_RUN knows of it.
A command that is shown with a line `Error: ...` has to fail with it. A line that ends
in `...` is the beginning of one. Trainings and evaluations are shortened.
"""

import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import Command, run_metapipe, script
from project import ROOT, make_project

pytestmark = pytest.mark.long

APART = {"architecture", "changelog", "contributing", "index"}
"""Pages that give a user nothing to type, or repeat the README."""

PAGES = [
    ROOT / "README.md",
    *sorted(p for p in (ROOT / "docs").glob("*.md") if p.stem not in APART),
    *sorted((ROOT / "docs" / "tutorial").glob("*.md")),
]

NOT_RUN = {
    ("docs/trackers.md", "needs metapipe[tensorboard]"),
    ("README.md", "is what .ci/run and tests/test_wheel.py do"),
    ("README.md", "needs metapipe[onnx]"),
    ("README.md", "needs a run that was interrupted"),
    ("docs/control.md", "is for pytest"),
    ("docs/control.md", "takes minutes"),
    ("docs/data.md", "needs a collection of many classes"),
    ("docs/data.md", "needs Banking77 and a sentence-transformers model"),
    ("docs/data.md", "names of yours"),
    (
        "docs/plugins.md",
        "my_algorithm.py is yours; docs/tutorial/algorithm.md runs it",
    ),
    ("docs/ui.md", "it serves until you end it"),
    ("docs/figures.md", "needs a run of two data sets"),
    ("docs/plugins.md", "is for pytest"),
    (
        "docs/plugins.md",
        "the contract takes minutes; tests/test_wheel.py runs it",
    ),
    ("docs/plugins.md", "MyEncoder is yours"),
    ("docs/plugins.md", "load_mine is yours"),
    ("docs/processes.md", "needs machines with other data"),
    ("docs/processes.md", "needs two machines"),
    ("docs/tutorial/algorithm.md", "is for pytest"),
    (
        "docs/tutorial/algorithm.md",
        "the contract takes minutes; tests/test_wheel.py runs it",
    ),
    ("docs/tutorial/pictures.md", "needs a collection of many classes"),
    ("docs/tutorial/pictures.md", "needs metapipe[pictures]"),
    ("README.md", "needs metapipe[pictures]"),
    ("docs/tutorial/tables.md", "needs a sentence-transformers model"),
    ("docs/tutorial/tables.md", "fetches a model"),
}
"""(page, reason) of every block that is left out."""

SHORT = {"--iterations": "12", "--episodes": "40", "--minutes": "0.05"}
"""What stands for the numbers on the pages; of episodes two batches, for two processes.
"""

BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>[^\n]+) -->\n)?"
    r"^```(?P<kind>console|python|\{literalinclude\})(?: (?P<path>\S+))?\n"
    r"(?P<body>.*?)^```$",
    re.M | re.S,
)


@dataclass(frozen=True)
class Step:
    """A line to type with what it should print, or a program."""

    page: Path
    kind: str
    text: str
    shown: tuple[str, ...] = ()


def blocks(page: Path) -> Iterator[re.Match[str]]:
    return BLOCK.finditer(page.read_text(encoding="utf-8"))


def steps(page: Path) -> Iterator[Step]:
    """What is run of a page, in order."""
    for block in blocks(page):
        kind, body = block["kind"], block["body"]
        if block["why"]:
            continue
        if kind == "console":
            for part in re.split(r"^\$ ", body, flags=re.M)[1:]:
                line, *shown = part.splitlines()
                for command in line.split(" && "):
                    yield Step(page, kind, command, tuple(shown))
        elif kind == "python":
            yield Step(page, kind, body)
        elif caption := re.search(r"^:caption: (\S+)$", body, re.M):
            source = (page.parent / block["path"]).resolve()
            yield Step(page, "file", caption[1], (str(source),))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_says_to_type_does_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    todo = list(steps(page))
    if todo:
        make_project()
    for step in todo:
        {"console": type_in, "python": run_program, "file": save}[step.kind](step)


def save(step: Step) -> None:
    """A file that the page shows, as a reader would save it."""
    shutil.copy(step.shown[0], step.text)


def run_program(step: Step) -> None:
    """A program, as a file of its own."""
    text = re.sub(r"\bepisodes=\d+", f"episodes={SHORT['--episodes']}", step.text)
    Path("program.py").write_text(text)
    run("program.py")


def run(path: str) -> None:
    code, out, err = Command(path, cwd=Path.cwd(), program=script).ended()
    assert code == 0, f"{path}\n{out}\n{err}"


def type_in(step: Step) -> None:
    """A line in a terminal."""
    line, _, target = step.text.partition(" > ")
    program, *arguments = shlex.split(line, comments=True)
    if program == "python":
        return run(*arguments)
    assert program == "metapipe", f"{step.page.name}: mark it as not run: {step.text}"
    for option, value in SHORT.items():
        if option in arguments:
            arguments[arguments.index(option) + 1] = value
    code, out, err = run_metapipe(*arguments, cwd=Path.cwd())
    told = f"{step.page.name}: {step.text}\nexit code {code}\n{out}\n{err}"
    assert "Traceback" not in out + err, told
    fails = any(shown.startswith("Error: ") for shown in step.shown)
    assert (code in (1, 2)) if fails else code == 0, told
    printed = {masked(text) for text in (out + err).splitlines()}
    for shown in filter(None, map(masked, step.shown)):
        begins = shown.removesuffix("...").strip()
        assert shown in printed or (
            begins != shown and any(text.startswith(begins) for text in printed)
        ), f"no longer: {shown}\n{told}"
    if target:
        Path(target.split("#")[0].strip()).write_text(out)
    return None


def masked(line: str) -> str:
    """The words of a line: numbers are what a shortened training makes of them."""
    return " ".join(re.sub(r"\d+(\.\d+)?|inf|nan", "#", line).split())


def test_what_is_not_run_is_known() -> None:
    found = {
        (str(page.relative_to(ROOT)), block["why"])
        for page in PAGES
        for block in blocks(page)
        if block["why"]
    }
    assert found == NOT_RUN


def test_every_mark_stands_above_a_block() -> None:
    for page in PAGES:
        marks = len(re.findall(r"<!-- not run", page.read_text(encoding="utf-8")))
        assert marks == sum(block["why"] is not None for block in blocks(page)), page
