"""The command line: what it prints, by real processes, and how it fails."""

import csv
import io
import json
import logging
import re
import resource
import sys
from pathlib import Path

import click
import pytest
from commands import TINY, error_line, metapipe, metapipe_json
from pictures import write_classes

from metapipe.cli.main import main
from metapipe.cli.output import print_table
from metapipe.store import TaskStore, default_url


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two finished runs: 'first', and its repetition."""
    folder = tmp_path_factory.mktemp("project")
    one = metapipe_json(
        *("train", "--plugin", "maml", *TINY, "--iterations", "30", "--name", "first"),
        *("--validate-every", "10", "--store-episodes", "all"),
        cwd=folder,
    )
    assert one["run"] == 1
    assert one["status"] == "completed"
    two = metapipe_json("train", "--from-run", "first", "--lr", "0.01", cwd=folder)
    assert two["run"] == 2
    return folder


def test_training_reports_what_it_did(project: Path) -> None:
    shown = metapipe_json("runs", "show", "1", cwd=project)
    assert shown["step"] == 30
    assert {"train_seconds", "git_commit", "environment", "plugins"} <= set(shown)
    kinds = {c["which"]: c for c in shown["checkpoints"]}
    assert set(kinds) == {"best", "latest"}
    assert kinds["latest"]["step"] == 30
    assert len(kinds["best"]["sha256"]) == 64
    assert Path(kinds["best"]["path"]).is_file()
    purposes = [e["purpose"] for e in shown["evaluations"]]
    assert purposes == ["validation"] * 3 + ["test"]
    assert 0 < shown["accuracy"] < 1
    assert shown["evaluations"][-1]["accuracy_before"] == pytest.approx(1 / 3, abs=0.2)


def test_a_run_shows_what_people_said_of_it_and_what_its_data_were(
    project: Path,
) -> None:
    with TaskStore.open(default_url(project)) as store:
        store.tag(1, ["baseline"])
        store.note(1, "as in the paper")
    out, _ = metapipe("runs", "show", "first", cwd=project)
    for fact in ("baseline", "as in the paper", "kind classification", "type image"):
        assert fact in out
    rows = metapipe_json("runs", "list", "--where", "tag=baseline", cwd=project)
    assert [row["id"] for row in rows] == [1]
    assert rows[0]["tags"] == ["baseline"]


def test_long_lists_have_pages(project: Path) -> None:
    rows = metapipe_json("runs", "list", "--offset", "1", cwd=project)
    assert rows[-1]["id"] == 1
    every = metapipe_json("episodes", "list", "first", "--limit", "9", cwd=project)
    page = ("--offset", "3", "--limit", "2")
    assert metapipe_json("episodes", "list", "1", *page, cwd=project) == every[3:5]
    assert metapipe("runs", "list", "--offset", "99", cwd=project)[0] == (
        "no runs match\n"
    )


def test_a_repetition_differs_only_in_what_was_said(project: Path) -> None:
    compared = metapipe_json("runs", "compare", "1", "2", cwd=project)
    assert compared["differences"] == {
        "run.name": ["first", None],
        "training.lr": [0.001, 0.01],
    }
    assert metapipe_json("runs", "show", "2", cwd=project)["parent_id"] == 1
    out, _ = metapipe("runs", "compare", "1", "2", cwd=project)
    assert "training.lr" in out


def test_runs_are_listed_filtered_and_sorted(project: Path) -> None:
    out, err = metapipe("runs", "list", cwd=project)
    assert out.splitlines()[0].split()[:3] == ["id", "name", "status"]
    assert err == ""
    where = ("runs", "list", "--where", "name=first and training.lr<0.01")
    assert [row["id"] for row in metapipe_json(*where, cwd=project)] == [1]
    text, _ = metapipe("runs", "list", "--csv", "--sort", "id", cwd=project)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["id"] for row in rows] == ["1", "2"]
    assert 0 < float(rows[0]["accuracy"]) < 1
    out, _ = metapipe("runs", "list", "--columns", "id,seed", cwd=project)
    assert out.split() == ["id", "seed", "2", "0", "1", "0"]


def test_all_training_episodes_were_stored(project: Path) -> None:
    with TaskStore.open(default_url(project)) as store:
        rows = store.episodes(1, where="purpose=null", limit=None)
        indices = [row.task.index for row in rows]
    assert indices == list(range(120)), "30 meta-batches of 4"


def test_an_episode_is_redrawn_and_pictured(project: Path, tmp_path: Path) -> None:
    hardest = metapipe_json("episodes", "list", "1", "--hardest", "2", cwd=project)
    assert hardest[0]["accuracy"] <= hardest[1]["accuracy"]
    tests = metapipe_json(
        "episodes", "list", "1", "--where", "purpose=test", cwd=project
    )
    picture = tmp_path / "e.png"
    arguments = ("episodes", "show", str(tests[0]["id"]), "--png", str(picture))
    shown = metapipe_json(*arguments, cwd=project)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert shown["accuracy_now"] == pytest.approx(shown["accuracy"], abs=1e-6)
    right = [a == b for a, b in zip(shown["labels"], shown["predictions"], strict=True)]
    assert sum(right) / len(right) == pytest.approx(shown["accuracy"], abs=1e-6)
    assert len(shown["classes"]) == 3


def test_evaluations_are_seeded_and_say_what_they_depend_on(project: Path) -> None:
    ask = ("evaluate", "first", "--split", "test", "--episodes", "30", "--seed", "7")
    one = metapipe_json(*ask, cwd=project)
    again = metapipe_json(*ask, cwd=project)
    assert one["accuracy"] == again["accuracy"]
    assert one["loss"] == again["loss"]
    assert (one["episodes"], one["seed"], one["purpose"]) == (30, 7, "test")
    assert one["transductive"] is False, "this network does not normalise"
    more = metapipe_json(*ask, "-s", "algorithm.test_steps=0", cwd=project)
    assert more["settings"] == {"test_steps": 0}
    assert more["accuracy"] == pytest.approx(more["accuracy_before"])
    out, _ = metapipe(*ask, cwd=project)
    assert "inductive" in out
    assert "±" in out


def test_an_episode_of_changed_settings_is_drawn_as_it_was(project: Path) -> None:
    """Settings of the data set and of the algorithm are kept with an evaluation."""
    one = metapipe_json(
        *("evaluate", "first", "--split", "train", "--episodes", "4"),
        *("-s", "dataset.rotations=false", "-s", "algorithm.test_steps=3"),
        cwd=project,
    )
    assert one["settings"] == {"test_steps": 3, "dataset.rotations": False}
    found = metapipe_json("episodes", "list", "first", "--limit", "500", cwd=project)
    episode = next(e for e in found if e["evaluation_id"] == one["id"])
    shown = metapipe_json("episodes", "show", str(episode["id"]), cwd=project)
    assert shown["accuracy_now"] == pytest.approx(shown["accuracy"], abs=1e-6)
    assert shown["loss_now"] == pytest.approx(shown["loss"], rel=1e-4)
    assert not any("rot" in name for name in shown["classes"])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["trian"], 2, "no command 'trian'; did you mean 'train'?"),
        (
            ["train", "--plugin", "mamll"],
            2,
            "no algorithm plugin 'mamll'; did you mean",
        ),
        (["train", "--lr", "0"], 2, "training.lr = 0.0 (command line): should be"),
        (["train", "--lr", "fast"], 2, "Invalid value for '--lr'"),
        (["train", "-s", "algorithm.iner=1"], 2, "unknown setting 'algorithm.iner'"),
        (["train", "-s", "nonsense"], 2, "is no assignment"),
        (
            ["train", "--device", "gpu"],
            2,
            "run.device = 'gpu' (command line): no device",
        ),
        (["train", "--device", "cuda:7"], 2, "run.device = 'cuda:7': this machine has"),
        (["train", "--dataset", "digits", "--ways", "25"], 2, "use --ways 24 or fewer"),
        (
            ["train", "--dataset", "digits", "--shots", "200"],
            2,
            "cannot give 200 shots",
        ),
        (["train", "--dataset", "sinusoid", "--ways", "5"], 2, "use --ways 1"),
        (["train", "--dataset", "sinusoid", "--model", "conv4"], 2, "--model mlp"),
        (
            ["train", "--dataset", "omniglot", "-s", "dataset.root=/none"],
            2,
            "dataset.root = '/none' does not exist",
        ),
        (["train", "--from-run", "77"], 1, "no run '77'"),
        (["train", "--name", "12"], 2, "a name is neither a number nor 'latest'"),
        (["runs", "show", "firts"], 1, "no run 'firts' in"),
        (["runs", "list", "--where", "acc>1"], 2, "no field 'acc'"),
        (["runs", "list", "--columns", "idd"], 2, "no column 'idd'; did you mean 'id'"),
        (["runs", "list", "--limit", "0"], 2, "--limit"),
        (["episodes", "show", "99999"], 1, "no episode 99999"),
        (["resume", "1"], 2, "run 1 is completed and cannot be resumed"),
        (["evaluate", "1", "--ways", "5"], 2, "train a run with --ways 5"),
        (["evaluate", "1", "--dataset", "sinusoid"], 2, "run learned classification"),
        (["evaluate", "1", "-s", "training.lr=1"], 2, "takes dataset.NAME"),
        (["plugins", "show", "mamll"], 2, "did you mean 'maml'?"),
        (["--db", "mysql://me:secret@x/y", "runs", "list"], 2, "no store for 'mysql'"),
        (["--config", "none.toml", "train"], 2, "cannot read"),
        (["episodes", "show", "1", "--png", "/dev/null/x.png"], 1, "cannot write /dev"),
    ],
)
def test_a_mistake_is_one_line_and_a_code(
    project: Path, arguments, code, message, monkeypatch, capsys
) -> None:
    """In this process: torch is imported once for all of them."""
    monkeypatch.chdir(project)
    monkeypatch.setattr(logging.getLogger("metapipe"), "handlers", [])
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    told = [text for text in err.splitlines() if not text.startswith("building ")]
    line, *hint = told
    assert ended.value.code == code
    assert line.startswith("Error: ")
    assert message in line
    assert "secret" not in line
    assert all(text.startswith("Try 'metapipe") for text in hint)
    assert out == ""


def test_a_refused_training_leaves_no_run_behind(project: Path) -> None:
    with TaskStore.open(default_url(project)) as store:
        assert {row.status for row in store.runs()} == {"completed"}


def test_a_diverged_run_is_failed_with_its_reason(project: Path) -> None:
    arguments = ("train", *TINY, "--optimiser", "sgd", "--lr", "1e30", "--name", "bad")
    line = error_line(*arguments, cwd=project, code=1)
    assert "lower training.lr" in line
    assert "resume" not in line, "it would diverge again"
    shown = metapipe_json("runs", "show", "bad", cwd=project)
    assert shown["status"] == "failed"
    assert shown["error"] in line
    metapipe("runs", "delete", "bad", "--yes", cwd=project)
    error_line("runs", "show", "bad", cwd=project, code=1)


def test_plugins_are_listed_with_what_failed(project: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import nothing_of_that_name")
    arguments = ("--plugin-path", str(broken), "plugins", "list")
    listed = metapipe_json(*arguments, cwd=project)
    names = {(p["kind"], p["name"]) for p in listed["plugins"]}
    assert ("algorithm", "maml") in names
    assert "nothing_of_that_name" in listed["failures"][0]["reason"]
    _, err = metapipe(*arguments[:2], "train", "--dry-run", cwd=project)
    assert err.startswith(f"not loaded: {broken}: ModuleNotFoundError")
    shown = metapipe_json("plugins", "show", "maml", cwd=project)
    settings = {s["name"]: s for s in shown[0]["settings"]}
    assert settings["inner_lr"]["bounds"] == "> 0"
    assert settings["inner_lr"]["default"] == 0.4
    assert "arxiv.org" in shown[0]["paper"]
    assert all(setting["help"] for setting in settings.values())


def test_plugins_tell_where_their_statistics_are_from(project: Path) -> None:
    told = {
        name: metapipe_json("plugins", "show", name, cwd=project)[0]["normalisation"]
        for name in ("maml", "protonet", "metanet")
    }
    assert "transductive" in told["maml"]
    assert "inductive" in told["protonet"]
    assert told["metanet"] == "no such layers: predictions are inductive"


def test_plugins_for_worlds_tell_of_trajectories(project: Path) -> None:
    told = {
        name: metapipe_json("plugins", "show", name, cwd=project)[0]
        for name in ("maml-trpo", "rl2", "maml", "protonet")
    }
    assert "`shots` trajectories" in told["maml-trpo"]["worlds"]
    assert "`shots` is 0" in told["rl2"]["worlds"]
    assert told["maml"]["worlds"] == told["maml-trpo"]["worlds"]
    assert told["protonet"]["worlds"] == ""
    for name in ("maml-trpo", "rl2"):
        assert told[name]["classes"] == told[name]["normalisation"] == ""
    assert told["maml"]["classes"] == "as many as in training"


def test_a_dry_run_shows_the_experiment_and_runs_nothing(project: Path) -> None:
    shown = metapipe_json("train", "--dry-run", "--lr", "0.5", *TINY, cwd=project)
    assert shown["experiment"]["training"]["lr"] == 0.5
    assert shown["origins"]["training.lr"] == "command line"
    (need,) = shown["memory"]["needs"]
    assert (need["mapping"], need["fits"]) == ("loop", True)
    assert need["total"] == shown["memory"]["process"] + need["graphs"]
    out, _ = metapipe("train", "--dry-run", *TINY, cwd=project)
    assert "[algorithm.maml]" in out
    assert re.search(r"^in all by loop = [\d,.]+ +# fits$", out, re.MULTILINE)


def test_help_is_quick(project: Path) -> None:
    """In seconds of the processor, which others on the machine lengthen less."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    metapipe("--help", cwd=project)
    times = []
    for _ in range(3):
        begun = spent()
        out, _ = metapipe("train", "--help", cwd=project)
        times.append(spent() - begun)
    assert "--iterations" in out
    assert "--plugin" in out
    assert min(times) < 0.8, "0.25 s where nothing else runs"


@pytest.mark.parametrize("columns", [20, 50, 100])
def test_a_terminals_table_loses_nothing_and_breaks_no_word_without_need(
    columns: int, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    row = {"id": 1, "status": "completed", "what": "several short words " * 5}
    print_table([row], ("id", "status", "what"))
    out = click.unstyle(capsys.readouterr().out)
    assert max(map(len, out.splitlines())) <= columns
    letters = sorted("idstatuswhat1completed" + "severalshortwords" * 5)
    assert sorted(c for c in out if c.isalnum()) == letters
    assert ("completed" in out) == (columns > 20)


def test_completion_scripts_are_printed(project: Path) -> None:
    out, _ = metapipe("completion", "bash", cwd=project)
    assert "_METAPIPE_COMPLETE" in out


def test_the_store_can_be_looked_after(tmp_path: Path) -> None:
    out, _ = metapipe("db", "current", cwd=tmp_path)
    assert "schema none" in out
    out, _ = metapipe("db", "upgrade", cwd=tmp_path)
    assert "none -> 0005" in out
    out, _ = metapipe("db", "upgrade", cwd=tmp_path)
    assert "nothing to do" in out


def test_a_store_elsewhere_is_named_by_option_or_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = f"sqlite:///{tmp_path / 'other.db'}"
    metapipe("--db", other, "db", "upgrade", cwd=tmp_path)
    found, _ = metapipe("--db", other, "runs", "list", "--json", cwd=tmp_path)
    assert json.loads(found) == []
    monkeypatch.setenv("METAPIPE_DB", other)
    out, _ = metapipe("runs", "list", cwd=tmp_path)
    assert "no runs yet" in out
    assert not (tmp_path / ".metapipe").exists()


def test_a_store_named_by_mistake_is_not_made_by_looking(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'mistyped.db'}"
    _, err = metapipe("--db", url, "runs", "list", cwd=tmp_path, code=1)
    assert "there is no task store at" in err
    assert not (tmp_path / "mistyped.db").exists()


def test_another_data_set_is_seen_in_the_shape_of_the_runs_own(project: Path) -> None:
    """Glyphs of 28 pixels by a run that learned on digits of 8; redrawn alike."""
    options = ("--dataset", "glyphs", "--episodes", "3", "--queries", "5")
    found = metapipe_json("evaluate", "2", *options, cwd=project)
    assert (found["dataset"], found["episodes"]) == ("glyphs", 3)
    where = f"evaluation_id={found['id']}"
    rows = metapipe_json("episodes", "list", "2", "--where", where, cwd=project)
    assert len(rows) == 3
    for row in rows:
        shown = metapipe_json("episodes", "show", str(row["id"]), cwd=project)
        assert shown["accuracy_now"] == row["accuracy"]


def test_a_later_evaluation_leaves_the_runs_own_figures(project: Path) -> None:
    before = metapipe_json("runs", "show", "1", cwd=project)
    metapipe("evaluate", "1", "--episodes", "3", cwd=project)
    after = metapipe_json("runs", "show", "1", cwd=project)
    assert after["accuracy"] == before["accuracy"] is not None
    assert after["loss"] == before["loss"]


def test_classes_that_were_trained_on_are_no_test(tmp_path: Path) -> None:
    write_classes(tmp_path / "data", {f"c{i:02}": 3 for i in range(12)})
    root = f"dataset.root={tmp_path / 'data'}"
    options = ("--plugin", "protonet", "--dataset", "image-folder", "--model", "mlp")
    shape = ("--ways", "2", "--queries", "1", "--tasks", "1", "--validate-every", "0")
    few = ("-s", "evaluation.episodes=2", "-s", "evaluation.queries=1")
    split = ("-s", root, "-s", "dataset.size=8")
    train = (*options, *shape, *few, *split, "--iterations", "1")
    metapipe("train", *train, cwd=tmp_path)
    other = ("evaluate", "1", "-s", "dataset.split_seed=1")
    _, err = metapipe(*other, cwd=tmp_path, code=1)
    assert "were trained on, such as" in err


def test_where_a_learned_value_begins_cannot_be_changed_later(tmp_path: Path) -> None:
    train = ("train", "--plugin", "r2d2", *TINY, "--iterations", "1")
    metapipe(*train, "--validate-every", "0", cwd=tmp_path)
    _, err = metapipe(
        "evaluate", "1", "-s", "algorithm.penalty=0.5", cwd=tmp_path, code=2
    )
    assert "has learned since" in err
