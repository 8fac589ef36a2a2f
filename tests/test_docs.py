"""The documentation says what the code says."""

import re
import tomllib
from pathlib import Path

import metapipe
from metapipe import hookspecs
from metapipe.experiment.registry import load
from metapipe.store import schema

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PLUGINS = (ROOT / "docs" / "plugins.md").read_text()
STORE = (ROOT / "docs" / "store.md").read_text()


def test_the_readme_begins_with_the_two_commands_that_ci_runs() -> None:
    block = README.split("```console\n")[1].split("```")[0]
    first, second = (line.removeprefix("$ ") for line in block.strip().splitlines())
    assert (
        first == "pip install -c constraints.txt -e . && metapipe train --plugin maml"
    )
    install, test = second.split(" && ")
    script = (ROOT / ".ci" / "run").read_text()
    assert install.replace("pip install", "pip install --quiet") in script
    assert script.rstrip().splitlines()[-1] == test


def test_every_plugin_is_in_the_readme() -> None:
    same = ("algorithm", "model", "backbone", "observer")
    kinds = {"dataset": "data set"} | {kind: kind for kind in same}
    row = rf"^\| ({'|'.join(kinds.values())}) \| `([^`]+)`"
    rows = set(re.findall(row, README, re.M))
    assert rows == {(kinds[e.plugin_type], e.name) for e in load().entries()}


def test_every_file_the_readme_names_exists() -> None:
    for name in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / name).exists(), name


def test_every_hook_is_documented() -> None:
    hooks = [
        name
        for name in vars(hookspecs)
        if hasattr(getattr(hookspecs, name), "metapipe_spec")
    ]
    assert len(hooks) >= 12
    for name in hooks:
        assert f"`{name}`" in PLUGINS


def test_the_example_plugin_is_the_one_that_is_tested() -> None:
    tested = (ROOT / "tests" / "distribution" / "metapipe_nearest.py").read_text()
    assert tested in PLUGINS
    assert len(tested.splitlines()) < 50


def test_every_table_is_documented() -> None:
    for name in schema.Base.metadata.tables:
        assert f"| `{name}` |" in STORE


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == metapipe.__version__
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {project['version']}\n" in citation


def test_figures_of_methods_are_measured_ones() -> None:
    """Every row of a method on the page stands in the results, with its budget."""
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text().splitlines()
    page = (ROOT / "docs" / "choosing.md").read_text()
    row = (
        r"^\| ([^|]+?)(?:, ten steps at the test)? \| (?:MSE )?([\d.]+ ± [\d.]+)(?: %)?"
        r" \| (?:(yes|no) \| )?(\d+ iterations, [\d.]+ min) \|$"
    )
    rows = re.findall(row, page, re.M)
    assert len(rows) == len(re.findall(r"iterations, [\d.]+ min \|$", page, re.M)) > 20
    for method, figure, transductive, budget in rows:
        assert any(
            line.startswith(f"| {method} |")
            and figure in line
            and f"{budget}, seed 0" in line
            and (not transductive or f"| {transductive} |" in line)
            for line in results
        ), (method, figure)


def test_figures_of_the_default_command_are_measured_ones() -> None:
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text()
    page = (ROOT / "docs" / "figures.md").read_text()
    told = re.search(r"MAML, seed 0, has (.+?) together and\n(.+?) alone", page)
    for figure, queries in zip(
        told.groups(), ("15 queries", "each alone"), strict=True
    ):
        assert re.search(rf"^\| MAML, seed 0 .*{queries} \| {figure}", results, re.M)


def test_extras_that_pages_name_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for name in re.findall(r"metapipe\[([\w,-]+)\]", path.read_text()):
            assert set(name.split(",")) <= set(extras), (path.name, name)
