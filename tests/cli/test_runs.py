"""`metapipe runs`: groups, columns, forms, labels, deletion, as a user meets them."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import error_line, metapipe, metapipe_json
from PIL import Image
from scipy import stats
from store_rows import EVALUATION, RUN

from metapipe import TaskStore
from metapipe.facts.latex import latex
from metapipe.runs.curves import seed_curves
from metapipe.store import default_url

ACCURACIES = {"maml": [0.5, 0.54, 0.6], "anil": [0.62, 0.7, 0.72]}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs 1 to 6: two algorithms, three seeds each, validated at 5 and 10."""
    folder = tmp_path_factory.mktemp("runs")
    with TaskStore.open(default_url(folder)) as store:
        for algorithm, accuracies in ACCURACIES.items():
            for seed, accuracy in enumerate(accuracies):
                config = {
                    "run": {"seed": seed, "name": None},
                    "training": {"lr": 0.01, "tasks": 4},
                    "algorithm": {"inner_lr": 0.1},
                }
                new = replace(RUN, algorithm=algorithm, seed=seed, config=config)
                run_id = store.begin_run(new)
                for step in (5, 10):
                    speed = {"episodes_per_second": 10.0}
                    store.record_metrics(run_id, step, speed)
                    figures = replace(
                        EVALUATION,
                        purpose="validation",
                        step=step,
                        accuracy=accuracy + (step - 10) / 100,
                    )
                    store.record_evaluation(run_id, figures, [])
                test = replace(EVALUATION, accuracy=accuracy, step=10)
                store.record_evaluation(run_id, test, [])
                metrics = {"val_loss": 0.5 + seed}
                store.finish_run(run_id, "completed", metrics=metrics)
    return folder


def test_groups_in_every_form(project: Path) -> None:
    by = ("runs", "list", "--group-by", "algorithm,training.lr")
    out, err = metapipe(*by, cwd=project)
    head, best, _ = out.splitlines()
    assert head.split()[:4] == ["algorithm", "training.lr", "runs", "seeds"]
    half = stats.t.ppf(0.975, 2) * stats.sem(ACCURACIES["anil"])
    mean = np.mean(ACCURACIES["anil"])
    assert f"{100 * mean:.2f} ± {100 * half:.2f} %" in best
    assert "Student's 95 % interval" in err
    (first, _) = metapipe_json(*by, cwd=project)
    assert first["group"] == {"algorithm": "anil", "training.lr": 0.01}
    assert first["figures"]["val_accuracy"]["ci95"] == pytest.approx(half)
    text, _ = metapipe(*by, "--csv", "--columns", "accuracy", cwd=project)
    row, _ = csv.DictReader(io.StringIO(text))
    assert float(row["accuracy"]) == pytest.approx(mean)
    assert float(row["accuracy_ci95"]) == pytest.approx(half)
    text, _ = metapipe(*by, "--latex", cwd=project)
    assert {r"\toprule", r"\bottomrule"} < set(text.splitlines()), "a row a line"
    assert rf"{100 * mean:.2f} $\pm$ {100 * half:.2f} \%" in text
    assert r"training.lr & runs & seeds & val\_accuracy" in text
    compared = metapipe_json(
        "runs", "compare", "1", "2", "4", "--group-by", "algorithm", cwd=project
    )
    assert [group["runs"] for group in compared["groups"]] == [1, 2]


def test_a_setting_is_a_column(project: Path) -> None:
    columns = "id,training.lr,metrics.val_loss,algorithm.inner_lr,val_accuracy"
    asked = ("runs", "list", "--columns", columns, "--sort", "-val_accuracy")
    (first, *_) = metapipe_json(*asked, "--limit", "1", cwd=project)
    assert first == {
        "id": 6,
        "training.lr": 0.01,
        "metrics.val_loss": 2.5,
        "algorithm.inner_lr": 0.1,
        "val_accuracy": 0.72,
    }
    out, _ = metapipe("runs", "list", cwd=project)
    assert out.index("val_accuracy") < out.index(" accuracy")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--columns", "id,training.lrr"), "did you mean 'training.lr'?"),
        (("--columns", "algorithm.inner_rl"), "did you mean 'algorithm.inner_lr'?"),
        (("--group-by", "algoritm"), "did you mean 'algorithm'?"),
        (("--group-by", "algorithm.inner_rl"), "did you mean 'algorithm.inner_lr'?"),
        (("--group-by", "seed", "--columns", "dataset"), "'dataset' is no number"),
    ],
)
def test_what_is_not_there_is_one_line(
    project: Path, arguments: tuple[str, ...], words: str
) -> None:
    assert words in error_line("runs", "list", *arguments, cwd=project, code=2)


def test_a_curve_over_seeds_is_their_mean(project: Path) -> None:
    with TaskStore.open(default_url(project)) as store:
        curves = seed_curves(store, store.runs(sort="id"), ["algorithm"])
    assert [curve.name for curve in curves] == ["maml (3 seeds)", "anil (3 seeds)"]
    (early, late), test = curves[0].validations, curves[0].test
    values = np.array(ACCURACIES["maml"])
    assert (early.step, late.step) == (5, 10)
    assert (early.value, late.value) == pytest.approx(
        (values.mean() - 0.05, values.mean())
    )
    half = stats.t.ppf(0.975, 2) * stats.sem(values)
    assert (early.ci95, late.ci95) == pytest.approx((half, half))
    assert test is not None
    assert (test.value, test.ci95) == pytest.approx((values.mean(), half))
    assert late.minutes == pytest.approx(10 * 4 / 10 / 60)
    picture = ("runs", "compare", "--where", "id>0", "--group-by", "algorithm")
    metapipe(*picture, "--png", "seeds.png", cwd=project)
    with Image.open(project / "seeds.png") as image:
        assert image.size == (800, 500)


def test_tags_and_notes_are_put_found_and_taken_off(project: Path) -> None:
    out, _ = metapipe("runs", "tag", "1", "paper", " best ", cwd=project)
    assert out == "run 1: best, paper\n"
    metapipe("runs", "tag", "1", "--remove", "paper", cwd=project)
    metapipe("runs", "note", "1", "Looks well, a bit noisy", cwd=project)
    found = metapipe_json(
        "runs", "list", "--where", "tag=best and note~NOISY", cwd=project
    )
    assert [(row["id"], row["tags"]) for row in found] == [(1, ["best"])]
    shown, _ = metapipe("runs", "show", "1", cwd=project)
    assert "Looks well, a bit noisy" in shown
    listed, _ = metapipe("runs", "list", "--columns", "id,tags", cwd=project)
    assert "1   best" in listed
    metapipe("runs", "note", "1", "", cwd=project)
    out, _ = metapipe("runs", "note", "1", cwd=project)
    assert out == "run 1 has no note\n"
    for wrong in (["two\nlines"], [" "], ["x" * 101]):
        error_line("runs", "tag", "1", *wrong, cwd=project, code=2)


def test_deletion_shows_what_and_asks(project: Path) -> None:
    where = ("runs", "delete", "--where", "algorithm=anil and seed=2")
    out, err = metapipe(*where, cwd=project, code=130)
    assert "run 6" in err
    assert "Delete 1 run with 0 bytes of files?" in err
    assert out == ""
    out, _ = metapipe(*where, "--yes", cwd=project)
    assert out == "deleted run 6\n"
    out, _ = metapipe(*where, "--yes", cwd=project)
    assert out == "no runs match\n"
    assert "every run" in error_line(
        "runs", "delete", "--where", "", cwd=project, code=2
    )


def test_latex_writes_what_latex_would_read_otherwise() -> None:
    text = latex([{"a_b": r"50 % & $x^2$ \ #1 {~}", "n": 2}], ["a_b", "n"])
    assert text.splitlines()[0] == r"\begin{tabular}{lr}"
    assert r"a\_b & n \\" in text
    assert (
        r"50 \% \& \$x\textasciicircum{}2\$ \textbackslash{} \#1 "
        r"\{\textasciitilde{}\} & 2 \\" in text
    )


def test_a_paired_verdict_is_plain(project: Path) -> None:
    line = error_line("runs", "compare", "1", "2", "--paired", cwd=project, code=2)
    assert "share 0 episodes" in line
