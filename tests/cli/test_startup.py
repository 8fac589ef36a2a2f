"""What a command imports before it does anything: what makes it slow to start.

Seconds are measured by `benchmarks/startup.py`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import metapipe
from pictures import write_classes

HEAVY = {
    *("torch", "sqlalchemy", "alembic", "matplotlib", "sklearn", "rich", "requests"),
    *("optuna", "sqlalchemy.dialects.postgresql"),
}
PROGRAM = """
import gc, sys
from metapipe.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code, ended.code
looks = gc.get_stats()[0]["collections"]
assert looks < 300, f"imports were looked through for garbage {looks} times"
print(*sys.modules, file=sys.stderr)
"""
MINE = """
from metapipe import hookimpl
from metapipe.testing import TinyModel

class Mine(TinyModel):
    "My own model."

@hookimpl
def register_models(register):
    register("mine", Mine)
"""
TRAIN = (
    *("train", "--dataset", "digits", "--model", "mlp", "--iterations", "2"),
    *("--tasks", "2", "--mapping", "loop", "--validate-every", "1"),
    *("--validation-episodes", "2", "-s", "evaluation.episodes=2"),
)


def run(*arguments: str, cwd: Path, cache: Path | None = None) -> tuple[str, set[str]]:
    """What a command prints in a fresh process, and the modules that it imported."""
    environment = {**os.environ, **({"METAPIPE_CACHE": str(cache)} if cache else {})}
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout, set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (("--help",), set()),
        (("train", "--help"), set()),
        (("runs", "list"), {"sqlalchemy"}),
    ],
    ids=" ".join,
)
def test_looking_imports_nothing_heavy(tmp_path: Path, arguments, needed) -> None:
    run(*arguments, cwd=tmp_path)  # plugins are imported once, to know their names
    out, modules = run(*arguments, cwd=tmp_path)
    assert out
    assert HEAVY & modules == needed


def test_the_page_is_there_without_torch() -> None:
    """Pages that look need none; a picture or a lesson brings it."""
    program = "import sys, metapipe.ui.server; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == {"sqlalchemy"}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which plugins have been shown once."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("METAPIPE_CACHE", str(folder))
        _, modules = run("plugins", "list", cwd=folder)
    assert "torch" in modules
    return folder


def test_the_help_of_a_training_names_the_plugins_that_there_are(
    tmp_path: Path,
) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "metapipe.toml").write_text("[plugins]\npaths = ['mine.py']")
    for _ in range(2):
        out, modules = run("train", "--help", cwd=tmp_path, cache=tmp_path / "cache")
    assert "torch" not in modules
    words = set(out.replace(",", " ").replace("]", " ").replace("[", " ").split())
    assert {"maml", "protonet", "mine", "conv4", "cifar-fs"} <= words
    assert "logistic" not in words, "it is no algorithm that can be trained"
    (tmp_path / "metapipe.toml").write_text("[plugins")
    out, _ = run("train", "--help", cwd=tmp_path, cache=tmp_path / "cache")
    assert "--algorithm" in out, "help is given whatever the project is like"


@pytest.mark.parametrize(
    "arguments", [("list",), ("list", "--json"), ("show", "maml")], ids=" ".join
)
def test_plugins_are_shown_alike_and_none_is_imported_the_second_time(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments
) -> None:
    monkeypatch.setenv("METAPIPE_CACHE", str(tmp_path))
    first, _ = metapipe("plugins", *arguments, cwd=tmp_path)
    monkeypatch.setenv("METAPIPE_CACHE", str(kept))
    second, modules = run("plugins", *arguments, cwd=tmp_path)
    assert not modules & {*HEAVY, "metapipe_plugins"}
    assert first == second
    assert "maml" in first


def test_the_config_file_decides_which_plugins_are_shown(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METAPIPE_CACHE", str(kept))
    (tmp_path / "mine.py").write_text(MINE)
    config = tmp_path / "metapipe.toml"
    for paths, imported in (("'mine.py'", True), ("", False), ("'mine.py'", False)):
        config.write_text(f"[plugins]\npaths = [{paths}]")
        out, modules = run("plugins", "list", cwd=tmp_path)
        assert ("My own model." in out) == bool(paths)
        assert ("torch" in modules) == imported, "both are kept"


def plugins_in(modules: set[str]) -> set[str]:
    """The plugins among them, which parts and packages are not."""
    kinds = ("algorithms", "backbones", "datasets", "models")
    known = [name.split(".") for name in modules if name.startswith("metapipe_plugins")]
    return {name[2] for name in known if len(name) == 3 and name[1] in kinds}


def test_a_training_imports_its_plugins_and_not_torchs_compiler(
    kept: Path, tmp_path: Path
) -> None:
    out, modules = run(*TRAIN, cwd=tmp_path, cache=kept)
    assert "completed" in out
    assert "torch" in modules
    assert not modules & {"torch._dynamo", "sympy", "requests", "matplotlib"}
    assert plugins_in(modules) == {"maml", "mlp", "digits"}


def test_own_pictures_take_their_plugins_and_no_library_too_many(
    kept: Path, tmp_path: Path
) -> None:
    write_classes(tmp_path / "own", {"a": 3, "b": 3})
    learn = ("adapt", "--backbone", "gradients", "--support", "own", "--out", "own.mp")
    used = []
    for command in (learn, learn, ("predict", "own.mp", "own")):
        out, modules = run(*command, cwd=tmp_path, cache=kept)
        assert out
        used.append(modules)
        assert plugins_in(modules) == {"gradients", "discriminant", "identity"}
    other = {"requests", "pooch", "scipy", "transformers", "optuna", "torch._dynamo"}
    assert not (HEAVY | other) - {"torch", "sqlalchemy"} & used[1]
    assert not (HEAVY | other) - {"torch"} & used[2]
