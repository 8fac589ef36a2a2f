"""The examples of docs/python.md are run as they stand there; mypy checks them with
the rest of docs/."""

import re
import runpy
from pathlib import Path

import pytest
from project import ROOT, make_project

from metapipe import TaskStore
from metapipe.store import default_url

EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.py"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of short runs, with the pictures that the examples speak of."""
    monkeypatch.chdir(tmp_path)
    make_project()
    return tmp_path


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_runs(path: Path, project: Path, capsys) -> None:
    found = runpy.run_path(str(path))
    with TaskStore.open(default_url(project)) as store:
        statuses = {row.status for row in store.runs()}
    assert statuses <= {"completed", "stopped"}
    if path.stem == "notebook":
        assert found["run"].status == "completed"
        assert {row["label"] for row in found["rows"]} <= set(found["new"].counts)
        assert Path("cats.metapipe").is_file()


def test_the_page_shows_every_example() -> None:
    page = (ROOT / "docs" / "python.md").read_text()
    shown = re.findall(r"\{literalinclude\} examples/(\w+)\.py", page)
    assert sorted(shown) == [path.stem for path in EXAMPLES]
    assert "```python" not in page, "what is not a file is not run"


def test_the_readme_shows_lines_of_an_example() -> None:
    readme = (ROOT / "README.md").read_text()
    block = readme.split("From Python:\n\n```python\n")[1].split("```")[0]
    example = (ROOT / "docs" / "examples" / "notebook.py").read_text().splitlines()
    assert set(block.splitlines()) <= set(example)
