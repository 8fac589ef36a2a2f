"""The names that plugins may rely on, and what importing them costs."""

import subprocess
import sys

import metapipe

NAMES = {
    *("Algorithm", "Dataset", "Meta", "Model", "Plugin", "Problem", "Source", "Step"),
    *("CONTRACT", "Group", "Predict", "SourceFacts", "TaskMap"),
    *("EpisodeRecord", "Episodes", "Samples", "Task", "Metrics", "Params"),
    *("Kind", "Split", "Statistics", "Register", "hookimpl", "__version__"),
    *("load_weights", "compare", "confusion", "delete", "embed"),
    *("CheckpointInfo", "EvaluationInfo", "Observer", "RunInfo"),
    *("Backbone", "Form", "RegisterEncoder"),
    *("DropShare", "Encoder", "FewShotClassifier", "FewShotRegressor"),
    *("Group", "Predict", "SourceFacts", "TaskMap", "TaskStore"),
    *("adapt", "amend", "evaluate", "load_adapted", "load_plugins", "predict"),
    "resume",
    *("train", "DataError", "MetapipeError", "UnsupportedError", "UsageError"),
    *("PathError", "SettingError", "sweep"),
    *("Actions", "Arena", "Drawn", "Recurrent", "Seen", "Trajectories", "Worlds"),
    *("as_html", "replay", "verify"),
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
