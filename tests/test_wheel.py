"""The built wheel, in a new environment that has what it asks for and nothing else; and
a third party's plugin beside it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
TINY = (
    *("--dataset", "digits", "--model", "mlp", "-s", "model.layers=[16]"),
    *("--ways", "3", "--queries", "4", "--tasks", "4", "--iterations", "20"),
    *("--validate-every", "10", "--validation-episodes", "10"),
    *("-s", "evaluation.episodes=20", "--json"),
)
"""Options of a training of a second."""

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a new environment with the wheel and pytest."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    kept = shutil.ignore_patterns(
        ".git", ".venv", ".metapipe", "build", "dist", ".*cache", "__pycache__"
    )
    shutil.copytree(ROOT, source, ignore=kept)
    run(sys.executable, "-m", "venv", "--without-pip", str(folder / "venv"))
    binaries = folder / "venv" / "bin"
    run(*PIP, "wheel", "--no-deps", "-w", str(folder), str(source))
    (wheel,) = folder.glob("metapipe-*.whl")
    install(binaries, wheel)
    (packages,) = folder.glob("venv/lib/python*/site-packages")
    (told,) = packages.glob("metapipe-*.dist-info")
    for one in asked_for(Distribution.at(told)) | asked_for(distribution("pytest")):
        link(one, packages)
    shutil.rmtree(source)
    return binaries


def install(binaries: Path, what: Path) -> None:
    """Into that environment, and nothing that it asks for."""
    python = ("--python", str(binaries / "python"))
    run(*PIP, *python, "install", "--no-deps", str(what))


def asked_for(one: Distribution, extras: Collection[str] = ()) -> set[str]:
    """The names of all that a distribution asks for, here and without more extras, and
    of all that those ask for."""
    todo, found = [(one, frozenset({"", *extras}))], {one.name.lower()}
    while todo:
        one, extras = todo.pop()
        for text in one.requires or ():
            wanted = Requirement(text)
            marker = wanted.marker
            here = not marker or any(marker.evaluate({"extra": e}) for e in extras)
            if here and wanted.name.lower() not in found:
                found.add(wanted.name.lower())
                todo.append((distribution(wanted.name), {"", *wanted.extras}))
    return found - {"metapipe"}


def link(name: str, packages: Path) -> None:
    """What is installed here, into other `site-packages`: nothing is unpacked."""
    one = distribution(name)
    for top in {file.parts[0] for file in one.files or ()} - {"..", "__pycache__"}:
        if not (packages / top).exists():
            (packages / top).symlink_to(one.locate_file(top))


def run(*command: str, cwd: Path | None = None) -> str:
    """What a command prints; it has to succeed."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=cwd, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_wheel_works_alone(environment: Path, tmp_path: Path) -> None:
    metapipe = str(environment / "metapipe")
    assert "none -> " in run(metapipe, "db", "upgrade", cwd=tmp_path)
    listed = json.loads(run(metapipe, "plugins", "list", "--json", cwd=tmp_path))
    assert listed["failures"] == []
    names = {plugin["name"] for plugin in listed["plugins"]}
    assert {"maml", "conv4", "mlp", "glyphs", "omniglot"} <= names
    outcome = json.loads(
        run(metapipe, "train", "--plugin", "maml", *TINY, cwd=tmp_path)
    )
    assert outcome["status"] == "completed"
    assert (tmp_path / ".metapipe" / "metapipe.db").is_file()
    licences = "import importlib.metadata as m; print(*m.files('metapipe'), sep='\\n')"
    held = run(str(environment / "python"), "-c", licences, cwd=tmp_path).split()
    for name in ("cifar_fs", "fc100", "mini_imagenet", "omniglot_vinyals"):
        assert f"metapipe_plugins/splits/{name}/train.txt" in held
        licence = f"licenses/plugins/metapipe_plugins/splits/{name}/LICENSE.txt"
        assert any(path.endswith(licence) for path in held)
    program = "import metapipe; print(metapipe.__file__)"
    where = run(str(environment / "python"), "-c", program, cwd=tmp_path)
    assert str(ROOT) not in where
    assert "site-packages" in where


def test_a_third_partys_plugin_is_an_equal(environment: Path, tmp_path: Path) -> None:
    project = tmp_path / "metapipe-nearest"
    shutil.copytree(ROOT / "tests" / "distribution", project)
    install(environment, project)
    metapipe = str(environment / "metapipe")
    listed = json.loads(run(metapipe, "plugins", "list", "--json", cwd=tmp_path))
    (mine,) = [p for p in listed["plugins"] if p["name"] == "nearest-class"]
    assert (mine["version"], mine["origin"]) == ("0.3.0", "metapipe-nearest")
    shown = run(metapipe, "plugins", "show", "nearest-class", cwd=tmp_path)
    assert "Divides the squared distances." in shown
    arguments = ("--plugin", "nearest-class", "-s", "algorithm.temperature=2.0")
    outcome = json.loads(run(metapipe, "train", *arguments, *TINY, cwd=tmp_path))
    assert outcome["status"] == "completed"
    assert outcome["evaluation"]["accuracy"] > 0.45, "three ways: chance is 0.33"
    wider = run(metapipe, "evaluate", "1", "--ways", "5", "--json", cwd=tmp_path)
    assert json.loads(wider)["ways"] == 5, "means do not mind how many"
    tested = run(
        str(environment / "python"), "-m", "pytest", "-q", str(project), cwd=project
    )
    assert " passed" in tested
