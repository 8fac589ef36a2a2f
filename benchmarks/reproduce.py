"""Train what the papers trained, and write RESULTS.md from the task store.

    python benchmarks/reproduce.py --project DIR [--data FOLDER] [--only NAME ...]

`--only NAME` does one of the runs that RESULTS.md names, anew in an empty DIR; with
`--trial` by ten iterations and twenty episodes a test, to see that its commands work,
and neither file is written.
Everything goes through the command line and stays in the store of DIR, so that the work
can be stopped and started again: a run that completed is not repeated, one that did not
is resumed. What the store says is kept in results.json, which outlives the store: a
run that DIR does not have keeps its figures of before. Neither file is edited by hand.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from recipes.reproduction import Reproduction
from reproductions import REPRODUCTIONS
from result_tables import tables

from metapipe.store import TaskStore, default_url
from metapipe.store.flat_settings import flat_settings
from metapipe.store.records import EvaluationRow, RunRow

TRIAL = (
    *("--iterations", "10", "--validation-episodes", "20"),
    *("-s", "evaluation.episodes=20"),
)

ASIDE = {"run.name", "training.log_every", "training.checkpoint_every"}
"""Settings that change nothing of what is learned."""

HERE = Path(__file__).parent
RESULTS, FIGURES = HERE / "RESULTS.md", HERE / "results.json"

Figures = dict[str, Any]


def main() -> None:
    """Train what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, required=True)
    shared = HERE.parents[1] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=shared)
    parser.add_argument("--only", nargs="*", help="names of reproductions; none trains")
    parser.add_argument("--trial", action="store_true", help="do the commands work?")
    arguments = parser.parse_args()
    arguments.project.mkdir(parents=True, exist_ok=True)
    names = [r.name for r in REPRODUCTIONS]
    chosen = names if arguments.only is None else arguments.only
    if unknown := set(chosen) - set(names):
        parser.error(f"no reproduction is called {sorted(unknown)}; there are {names}")
    data = arguments.data.resolve()
    with TaskStore.open(default_url(arguments.project)) as store:
        for reproduction in REPRODUCTIONS:
            if reproduction.name in chosen:
                wanted = tried(reproduction) if arguments.trial else reproduction
                run(wanted, store, arguments.project, data)
        if arguments.trial:
            return
        figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
        figures |= collected(store, arguments.project, data)
    for reproduction in REPRODUCTIONS:
        if reproduction.name in figures:
            known = figures[reproduction.name]
            figures[reproduction.name] = recalled(
                known, reproduction, arguments.project, data
            )
    kept = {name: figures[name] for name in names if name in figures}
    FIGURES.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    RESULTS.write_text(tables(kept), encoding="utf-8")
    print(f"wrote {RESULTS}")


def tried(reproduction: Reproduction) -> Reproduction:
    """The same commands, and little to do."""
    tests = (
        replace(test, options=(*test.options, "--episodes", "20"))
        for test in reproduction.tests
    )
    train = (*reproduction.train, *TRIAL)
    return replace(reproduction, train=train, tests=tuple(tests))


def run(
    reproduction: Reproduction, store: TaskStore, project: Path, data: Path
) -> None:
    """Train, resume or leave alone, after what it begins with; then evaluate what is
    not evaluated yet."""
    for other in REPRODUCTIONS:
        if other.name == reproduction.begins:
            run(other, store, project, data)
    made = runs_of(reproduction, store, project, data)
    loading = loading_of(reproduction)
    if not made:
        options = options_of(reproduction, data)
        metapipe(project, *loading, "train", *options, "--name", reproduction.name)
    elif made[0].status != "completed":
        metapipe(project, *loading, "resume", str(made[0].id))
    row = runs_of(reproduction, store, project, data)[0]
    done = len(tests_of(store, row))
    for test in reproduction.tests[max(done, 1) :]:
        metapipe(project, *loading, "evaluate", str(row.id), *test.options)


def runs_of(
    reproduction: Reproduction, store: TaskStore, project: Path, data: Path
) -> list[RunRow]:
    """Runs of that name and of that recipe, the newest first: a run that was made
    before the recipe changed is of another experiment. A setting that is newer than
    the run had its default."""
    rows = store.runs(f"name='{reproduction.name}' and status!=failed")
    if not rows:
        return []
    wanted = settings_of(reproduction, project, data)
    return [
        row
        for row in rows
        if wanted.items() <= (wanted | _settings(row.config)).items()
    ]


def loading_of(reproduction: Reproduction) -> list[str]:
    """The options of its plugins."""
    return [part.format(benchmarks=HERE.resolve()) for part in reproduction.loading]


def options_of(reproduction: Reproduction, data: Path) -> list[str]:
    """Of the command that trains it."""
    return [part.format(data=data) for part in reproduction.train]


@cache
def settings_of(
    reproduction: Reproduction, project: Path, data: Path
) -> dict[str, Any]:
    """What the recipe means, by setting, as the command line resolves it."""
    options = options_of(reproduction, data)
    loading = loading_of(reproduction)
    text = answer(project, *loading, "train", *options, "--dry-run", "--json")
    return _settings(json.loads(text)["experiment"])


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """All of a run's settings but its name, and how often it is told of and kept."""
    settings = flat_settings(config)
    return {name: settings[name] for name in settings if name not in ASIDE}


def metapipe(project: Path, *arguments: str) -> None:
    """One command, in the project."""
    print("$ metapipe", *arguments, flush=True)
    command = [sys.executable, "-m", "metapipe", *arguments]
    subprocess.run(command, cwd=project, check=True)


def answer(project: Path, *arguments: str) -> str:
    """What a command prints, in the project."""
    command = [sys.executable, "-m", "metapipe", *arguments]
    done = subprocess.run(
        command, cwd=project, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def tests_of(store: TaskStore, row: RunRow) -> list[EvaluationRow]:
    """In the order in which they were made. Who looked at validation tested nothing."""
    found = store.evaluations(row.id)
    tests = [e for e in found if e.purpose == "test" and e.split == "test"]
    return sorted(tests, key=lambda test: test.id)


def collected(store: TaskStore, project: Path, data: Path) -> Figures:
    """What the store knows of each reproduction, by its name."""
    found: Figures = {}
    for reproduction in REPRODUCTIONS:
        made = runs_of(reproduction, store, project, data)
        for row in [row for row in made if row.status == "completed"][:1]:
            found[reproduction.name] = {
                "seed": row.seed,
                "iterations": row.step,
                "tasks": row.config["training"]["tasks"],
                "selection": selection(flat_settings(row.config)),
                "data": {"train": row.fingerprint},
                "minutes": round((row.train_seconds or 0) / 60, 1),
                "threads": row.environment.get("threads"),
                "gpu": row.environment.get("gpu"),
                "tests": [facts(test) for test in tests_of(store, row)],
            }
    return found


def selection(settings: Mapping[str, Any]) -> Figures:
    """By what the checkpoint was chosen that was tested; of a run's settings by name,
    where one that is newer than the run had its default."""
    if not settings["training.validate_every"]:
        return {}
    return {
        "by": settings.get("training.select", "accuracy"),
        "every": settings["training.validate_every"],
        "episodes": settings["training.validation_episodes"],
        "ensemble": settings.get("evaluation.ensemble", 1),
    }


def recalled(
    known: Figures, reproduction: Reproduction, project: Path, data: Path
) -> Figures:
    """The figures of a run that was made before its budget and selection were kept with
    them, with what its recipe says of these; its data's hash is not known."""
    if "selection" in known:
        return known
    try:
        settings = settings_of(reproduction, project, data)
    except subprocess.CalledProcessError:  # the data are not here
        return known
    return {
        **known,
        "tasks": settings["training.tasks"],
        "selection": selection(settings),
    }


def facts(test: EvaluationRow) -> Figures:
    """What a table tells of an evaluation."""
    names = (
        *("split", "ways", "shots", "queries", "episodes", "prediction"),
        *("transductive", "settings", "accuracy", "accuracy_ci95", "accuracy_before"),
        *("loss", "loss_ci95", "loss_before", "fingerprint", "controls"),
    )
    return {name: getattr(test, name) for name in names}


if __name__ == "__main__":
    main()
