"""The names that plugins may rely on, and what importing them costs."""

import subprocess
import sys

import metapipe

NAMES = {
    *("Algorithm", "Dataset", "Meta", "Model", "Plugin", "Problem", "Source", "Step"),
    *("EpisodeRecord", "Episodes", "Samples", "Task", "Metrics", "Params"),
    *("Kind", "Split", "Statistics", "Register", "hookimpl", "__version__"),
    "load_weights",
    *("CheckpointInfo", "RunInfo"),
    *("DropShare", "Encoder", "FewShotClassifier", "FewShotRegressor"),
    *("DataError", "MetapipeError", "UnsupportedError", "UsageError"),
}


def test_the_public_names_are_these() -> None:
    assert set(metapipe.__all__) == NAMES
    for name in metapipe.__all__:
        assert hasattr(metapipe, name)


def imported_by(program: str) -> set[str]:
    code = f"import sys; {program}; print(*sys.modules, sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split("\n"))


def test_importing_metapipe_does_not_import_torch() -> None:
    modules = imported_by("import metapipe")
    assert "metapipe.algorithm" in modules
    assert not modules & {"torch", "sqlalchemy", "matplotlib", "sklearn"}


def test_help_does_not_import_torch() -> None:
    program = (
        "import contextlib, io\n"
        "from metapipe.cli.main import main\n"
        "quiet = contextlib.redirect_stdout(io.StringIO())\n"
        "with contextlib.suppress(SystemExit), quiet:\n"
        "    main(['train', '--help'])\nimport sys"
    )
    modules = imported_by(f"exec({program!r})")
    assert "metapipe.cli.train" in modules
    assert not modules & {"torch", "sqlalchemy", "matplotlib", "sklearn", "alembic"}


def test_looking_at_the_store_does_not_import_torch(tmp_path) -> None:
    program = (
        "import contextlib, os\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "from metapipe.cli.main import main\n"
        "with contextlib.suppress(SystemExit):\n    main(['runs', 'list'])"
    )
    modules = imported_by(f"exec({program!r})")
    assert "metapipe.store.store" in modules
    assert "torch" not in modules
