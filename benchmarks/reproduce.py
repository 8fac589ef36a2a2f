"""Train what the papers trained, and write RESULTS.md from the task store.

    python benchmarks/reproduce.py --project DIR [--data FOLDER] [--only NAME ...]

Everything goes through the command line and stays in the store of DIR, so that the work
can be stopped and started again: a run that completed is not repeated, one that did not
is resumed. The tables are never edited by hand.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from metapipe.records import EvaluationRow, RunRow
from metapipe.store import TaskStore, default_url

RESULTS = Path(__file__).parent / "RESULTS.md"
HERE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Reproduction:
    """One run, what else it is evaluated on, and what was published."""

    name: str
    what: str
    train: tuple[str, ...]
    evaluations: tuple[tuple[str, ...], ...] = ()
    published: str = ""
    goal: str = ""


STEPS = tuple(("-s", f"algorithm.test_steps={n}") for n in (0, 1, 2, 3, 5, 10))

REPRODUCTIONS = [
    *(
        Reproduction(
            name=f"default-{seed}",
            what=f"MAML, glyphs, 5-way 1-shot: the default command, seed {seed}",
            train=("--plugin", "maml", "--seed", str(seed)),
            evaluations=(("--prediction", "alone"),) if seed == 0 else (),
            goal="82.5 %",
        )
        for seed in range(3)
    ),
    Reproduction(
        name="omniglot-5w1s",
        what="MAML, Omniglot, 5-way 1-shot",
        train=(
            *("--plugin", "maml", "--dataset", "omniglot", "--model", "conv4"),
            *("-s", "dataset.root={data}/omniglot.zip"),
            *("--ways", "5", "--shots", "1", "--queries", "5", "--tasks", "16"),
            *("--iterations", "5000", "--lr", "0.005", "--schedule", "cosine"),
            *("-s", "algorithm.test_steps=3", "-s", "evaluation.queries=15"),
            *("-s", "evaluation.episodes=1000", "--mapping", "threads"),
            *("--validate-every", "500"),
        ),
        evaluations=(
            ("-s", "algorithm.test_steps=1"),
            ("--queries", "1"),
            ("--prediction", "alone"),
        ),
        published="98.7 ± 0.4 %",
        goal="97 %",
    ),
    Reproduction(
        name="sinusoid",
        what="MAML, sinusoid, K = 10",
        train=(
            *("--plugin", "maml", "--dataset", "sinusoid", "--iterations", "30000"),
            *("--lr", "0.002", "--schedule", "cosine", "--mapping", "vmap"),
            *("--validate-every", "2500", "--log-every", "50"),
            *("--checkpoint-every", "2500"),
        ),
        evaluations=STEPS,
        published="0.67 (5 points)",
        goal="< 0.8",
    ),
]


def main() -> None:
    """Train what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=HERE.parent / "shared" / "data")
    parser.add_argument("--only", nargs="*", help="names of reproductions")
    arguments = parser.parse_args()
    arguments.project.mkdir(parents=True, exist_ok=True)
    chosen = [
        r for r in REPRODUCTIONS if not arguments.only or r.name in arguments.only
    ]
    with TaskStore.open(default_url(arguments.project)) as store:
        for reproduction in chosen:
            run(reproduction, store, arguments.project, arguments.data.resolve())
        RESULTS.write_text(tables(store), encoding="utf-8")
    print(f"wrote {RESULTS}")


def run(
    reproduction: Reproduction, store: TaskStore, project: Path, data: Path
) -> None:
    """Train, resume or leave alone; then evaluate what is not evaluated yet."""
    rows = store.runs(f"name='{reproduction.name}' and status!=failed")
    if not rows:
        options = [part.format(data=data) for part in reproduction.train]
        metapipe(project, "train", *options, "--name", reproduction.name)
    elif rows[0].status != "completed":
        metapipe(project, "resume", str(rows[0].id))
    row = store.run(reproduction.name)
    done = sum(e.purpose == "test" for e in store.evaluations(row.id)) - 1
    for options in reproduction.evaluations[done:]:
        metapipe(project, "evaluate", str(row.id), *options)


def metapipe(project: Path, *arguments: str) -> None:
    """One command, in the project."""
    print("$ metapipe", *arguments, flush=True)
    command = [sys.executable, "-m", "metapipe", *arguments]
    subprocess.run(command, cwd=project, check=True)


def tables(store: TaskStore) -> str:
    """RESULTS.md."""
    lines = [
        "# Results",
        "",
        "Written by `benchmarks/reproduce.py` from its task store; not edited by hand. "
        f"On {platform.machine()}, two cores, no GPU. Training time is wall time "
        "without validations; with other work on the machine it is an upper bound.",
        "",
        "| what | evaluated | result | before adapting | transductive | episodes | "
        "published | goal | trained |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for reproduction in REPRODUCTIONS:
        rows = store.runs(f"name='{reproduction.name}' and status=completed")
        for row in rows[:1]:
            tests = [e for e in store.evaluations(row.id) if e.purpose == "test"]
            lines += [line(reproduction, row, test) for test in tests]
    return "\n".join(lines) + "\n"


def line(reproduction: Reproduction, row: RunRow, test: EvaluationRow) -> str:
    """One evaluation as a row of the table."""
    if test.accuracy is not None and test.accuracy_ci95 is not None:
        result = f"{100 * test.accuracy:.2f} ± {100 * test.accuracy_ci95:.2f} %"
        before = f"{100 * (test.accuracy_before or 0):.1f} %"
    else:
        result = f"MSE {test.loss:.3f} ± {test.loss_ci95:.3f}"
        before = f"MSE {test.loss_before or 0:.2f}"
    changed = ", ".join(f"{name} {value}" for name, value in test.settings.items())
    facts = [f"{test.split}, {test.queries} queries, {test.prediction}", changed]
    cells = [
        reproduction.what,
        ", ".join(filter(None, facts)),
        result,
        before,
        "yes" if test.transductive else "no",
        str(test.episodes),
        reproduction.published,
        reproduction.goal,
        f"{row.step} iterations, {(row.train_seconds or 0) / 60:.1f} min",
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
