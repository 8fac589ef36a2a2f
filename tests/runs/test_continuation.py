"""A completed run goes on as if it had been asked for from the start; another run
begins with its parameters."""

from pathlib import Path
from typing import Any

import pytest
import torch

import metapipe
from metapipe import TaskStore, UnsupportedError, UsageError
from metapipe.errors import SettingError
from metapipe.store import default_url
from metapipe.training.checkpoint import load

OPTIONS: dict[str, Any] = {
    "plugin": "maml",
    "dataset": "digits",
    "model": "mlp",
    "ways": 3,
    "queries": 4,
    "tasks": 4,
    "mapping": "loop",
    "validate_every": 5,
    "validation_episodes": 10,
    "log_every": 5,
    "store_episodes": "all",
    "progress": False,
}
SETTINGS = {"model.layers": [16], "evaluation.episodes": 10}


def train(folder: Path, **options: Any) -> int:
    chosen = {**OPTIONS, **options}
    return metapipe.train(project=folder, settings=SETTINGS, **chosen).run_id


def tensors(folder: Path, run_id: int, which: str) -> dict[str, torch.Tensor]:
    with TaskStore.open(default_url(folder)) as store:
        (row,) = [c for c in store.checkpoints(run_id) if c.which == which]
    return dict(load(Path(row.path), row.sha256).file.tensors)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run 1 had 20 iterations from the start, run 2 had 10."""
    folder = tmp_path_factory.mktemp("continuation")
    (folder / "metapipe.toml").write_text("")
    assert [train(folder, iterations=n) for n in (20, 10)] == [1, 2]
    return folder


def test_a_run_that_goes_on_is_the_run_asked_for_from_the_start(project: Path) -> None:
    before = metapipe.TaskStore.open(default_url(project))
    (test_of_10,) = [e for e in before.evaluations(2) if e.purpose == "test"]
    outcome = metapipe.resume(2, iterations=20, project=project, progress=False)
    assert (outcome.status, outcome.step) == ("completed", 20)
    for which in ("latest", "best"):
        whole, gone_on = (tensors(project, run, which) for run in (1, 2))
        assert set(whole) == set(gone_on)
        for name, tensor in whole.items():
            assert torch.equal(tensor, gone_on[name]), f"{which} {name}"
    with before as store:
        whole_row, row = store.run(1), store.run(2)
        assert row.config["training"] == whole_row.config["training"]
        assert row.iterations == row.config["training"]["iterations"] == 20
        for name in ("accuracy", "accuracy_ci95", "loss", "val_accuracy"):
            assert getattr(row, name) == getattr(whole_row, name), name
        for name in ("loss", "accuracy", "val_accuracy", "grad_norm"):
            one, two = (
                [(m.step, m.value) for m in store.metrics(run, name)] for run in (1, 2)
            )
            assert len(one) == 4
            assert one == two, name
        episodes = [
            [
                (e.task, e.step, e.loss)
                for e in store.episodes(run, limit=None)
                if e.evaluation_id is None
            ]
            for run in (1, 2)
        ]
        assert episodes[0] == episodes[1]
        assert len(episodes[0]) == 20 * 4
        kept = [e for e in store.evaluations(2) if e.purpose == "test"]
        assert kept[0] == test_of_10, "it stays, at its step"
        assert kept[0].step <= 10
        assert len(kept) == 2


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "completed and cannot be resumed: go on with it by --iterations N"),
        ({"iterations": 10}, "has done 20 iterations, and its end is 10"),
        ({"iterations": 20}, "has done 20 iterations, and its end is 20"),
        ({"minutes": 5.0}, "has done 20 iterations, and its end is 20"),
        ({"iterations": 30, "minutes": 1e-9}, "give --minutes of more than that"),
        ({"iterations": 0}, "training.iterations"),
    ],
)
def test_an_end_that_was_passed_is_refused(
    project: Path, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises((UsageError, SettingError), match=words) as caught:
        metapipe.resume(1, project=project, progress=False, **asked)
    assert "\n" not in str(caught.value)
    with TaskStore.open(default_url(project)) as store:
        assert store.run(1).status == "completed"


def test_a_schedule_keeps_its_end(project: Path) -> None:
    late = train(project, iterations=6, schedule="cosine")
    with pytest.raises(UsageError, match="cosine schedule to iteration 6"):
        metapipe.resume(late, iterations=12, project=project, progress=False)
    flat = train(project, iterations=6, schedule="linear", final_lr=0.001)
    done = metapipe.resume(flat, iterations=8, project=project, progress=False)
    assert done.step == 8, "from lr to the same lr is no schedule"


def test_steps_at_their_places_do_not_depend_on_the_end(project: Path) -> None:
    steps = {"schedule": "steps", "factors": [[3, 0.5], [7, 0.1]]}
    short, whole = (train(project, iterations=n, **steps) for n in (6, 9))
    assert metapipe.resume(short, iterations=9, project=project, progress=False)
    want, got = (tensors(project, run, "latest") for run in (whole, short))
    assert all(torch.equal(got[name], value) for name, value in want.items())


def test_a_run_that_time_ended_goes_on_for_longer(project: Path) -> None:
    short = train(project, iterations=60, minutes=1e-9, schedule="cosine")
    with TaskStore.open(default_url(project)) as store:
        assert (store.run(short).status, store.run(short).step) == ("completed", 1)
        with pytest.raises(UsageError, match="give --minutes of more"):
            metapipe.resume(short, iterations=60, project=project, progress=False)
        done = metapipe.resume(short, minutes=50.0, project=project, progress=False)
        assert done.step == 60
        whole = train(project, iterations=60, schedule="cosine")
        one, two = (
            {m.step: m.value for m in store.metrics(run, "lr")}
            for run in (short, whole)
        )
        assert two.items() <= one.items()
    ours, theirs = (tensors(project, run, "latest") for run in (short, whole))
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_a_run_begins_with_the_parameters_of_another(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a step size of next to nothing they are where it ends."""
    begun = train(project, start_from=1, seed=7, iterations=5, lr=1e-30)
    for name, tensor in tensors(project, 1, "best").items():
        if name.startswith(("params/", "constants/", "state/")):
            found = tensors(project, begun, "latest")[name]
            assert torch.equal(found, tensor), name
    with TaskStore.open(default_url(project)) as store:
        row = store.run(begun)
        (best,) = [c for c in store.checkpoints(1) if c.which == "best"]
    assert (row.parent_id, row.step, row.seed) == (1, 5, 7)
    assert row.config["run"]["start_from"] == "1"
    assert row.environment["start"] == {
        "run": 1,
        "which": "best",
        "step": best.step,
        "sha256": best.sha256,
    }
    latest = train(
        project, start_from=1, start_checkpoint="latest", iterations=1, lr=1e-30
    )
    ours, theirs = tensors(project, latest, "latest"), tensors(project, 1, "latest")
    assert all(torch.equal(ours[n], t) for n, t in theirs.items() if n[:3] == "par")
    again = metapipe.train(from_run=begun, project=project, progress=False)
    with TaskStore.open(default_url(project)) as store:
        assert store.run(again.run_id).parent_id == begun
        losses = [store.metrics(run, "loss") for run in (begun, again.run_id)]
    assert [m.value for m in losses[0]] == [m.value for m in losses[1]]
    verified = metapipe.verify(begun, project=project)
    assert verified.matches, verified.first_difference


def test_what_an_algorithm_counts_begins_anew_with_the_run(tmp_path: Path) -> None:
    """The weight of the entropy halves with every step of the optimiser, of which two
    iterations of three passes have six: from what the new run says, not from where the
    other ended."""
    options: dict[str, Any] = {
        "plugin": "rl2",
        "dataset": "bandit",
        "tasks": 4,
        "iterations": 2,
        "passes": 3,
        "validate_every": 0,
        "progress": False,
        "project": tmp_path,
    }
    settings = {"algorithm.entropy_halving": 1, "evaluation.episodes": 2}
    (tmp_path / "metapipe.toml").write_text("")
    for weight, start in ((0.8, None), (0.4, 1)):
        chosen = {**settings, "algorithm.entropy_weight": weight}
        metapipe.train(settings=chosen, start_from=start, **options)
    weights = [
        tensors(tmp_path, run, "latest")["state/entropy_weight"].item()
        for run in (1, 2)
    ]
    assert weights == pytest.approx([0.8 / 2**6, 0.4 / 2**6])


def test_parameters_that_are_others_by_now_are_not_taken_for_the_same(
    project: Path,
) -> None:
    first = train(project, iterations=2)
    begun = train(project, start_from=first, iterations=2)
    metapipe.resume(first, iterations=9, project=project, progress=False)
    with pytest.raises(UsageError, match=f"run {begun} began with step 2"):
        metapipe.train(from_run=begun, project=project, progress=False)
    done = metapipe.train(from_run=begun, start_from=1, project=project, progress=False)
    assert done.status == "completed"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"plugin": "protonet"}, "choose the same algorithm"),
        ({"model": "conv4", "settings": {}}, "choose the same model"),
        (
            {"settings": {"model.layers": [8]}},
            "others than those.*; give the settings that",
        ),
        ({"start_from": "nobody"}, "no run 'nobody'"),
    ],
)
def test_parameters_of_something_else_are_refused_in_a_line(
    project: Path, other: dict[str, Any], words: str
) -> None:
    options = {**OPTIONS, "start_from": 1, "settings": SETTINGS, **other}
    with TaskStore.open(default_url(project)) as store:
        count = store.count_runs()
        error = metapipe.MetapipeError if "nobody" in words else UsageError
        with pytest.raises(error, match=words) as caught:
            metapipe.train(project=project, iterations=2, **options)
        assert "\n" not in str(caught.value)
        assert store.count_runs() == count
    if error is UsageError:
        assert caught.value.exit_code == 2
    assert issubclass(UnsupportedError, UsageError)


def test_a_run_is_labelled_as_it_begins(project: Path) -> None:
    labelled = train(project, iterations=1, tags=["a", "b"], note="the first of many")
    with TaskStore.open(default_url(project)) as store:
        row = store.run(labelled)
        assert (row.tags, row.notes) == (("a", "b"), "the first of many")
        count = store.count_runs()
        with pytest.raises(UsageError, match="a tag has 1 to 100 characters"):
            train(project, iterations=1, tags=["a", " "])
        assert store.count_runs() == count, "refused before anything is entered"
