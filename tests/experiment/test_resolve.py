"""Where settings come from, and what is said of wrong ones."""

from pathlib import Path

import pytest

from metapipe.errors import SettingError, UnknownNameError
from metapipe.experiment.experiment import Experiment
from metapipe.experiment.project import Project, find_project
from metapipe.experiment.registry import load
from metapipe.experiment.resolve import resolve
from metapipe.experiment.written import Written, parse_assignment
from metapipe_plugins.algorithms.cavia import CAVIA


def project(tmp_path: Path, text: str = "") -> Project:
    (tmp_path / "metapipe.toml").write_text(text)
    return find_project(start=tmp_path)


def test_precedence_rises_from_defaults_to_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project(tmp_path, "[training]\nlr = 0.5\ntasks = 3\nclip = 1.0\n")
    monkeypatch.setenv("METAPIPE_TRAINING__TASKS", "4")
    monkeypatch.setenv("METAPIPE_TRAINING__CLIP", "2.0")
    resolved = resolve(file, load(), [("training.clip", 3.0)])
    training = resolved.experiment.training
    assert (training.lr, training.tasks, training.clip) == (0.5, 4, 3.0)
    assert resolved.origins["training.lr"] == str(tmp_path / "metapipe.toml")
    assert resolved.origins["training.tasks"] == "METAPIPE_TRAINING__TASKS"
    assert resolved.origins["training.clip"] == "command line"


def test_recommendations_give_way_to_everything_said(tmp_path: Path) -> None:
    plain = resolve(project(tmp_path), load(), [("run.dataset", "sinusoid")])
    assert plain.experiment.run.model == "mlp"
    assert plain.experiment.task.ways == 1
    assert plain.experiment.algorithm.model_dump()["inner_lr"] == 0.01
    said = resolve(
        project(tmp_path, "[task]\nshots = 5\n[algorithm.maml]\ninner_lr = 0.02"),
        load(),
        [("run.dataset", "sinusoid"), ("run.model", "conv4")],
    )
    assert said.experiment.run.model == "conv4"
    assert said.experiment.task.shots == 5
    assert said.experiment.algorithm.model_dump()["inner_lr"] == 0.02


def test_what_is_recommended_beside_another_plugin_is_stronger(tmp_path: Path) -> None:
    """Reptile wants one example in evaluation, but ten points of a wave."""
    names = [("run.algorithm", "reptile"), ("run.dataset", "sinusoid")]
    waves = resolve(project(tmp_path), load(), names)
    assert waves.experiment.evaluation.shots == 10
    assert waves.origins["evaluation.shots"] == "recommended by sinusoid with reptile"
    letters = resolve(project(tmp_path), load(), names[:1])
    assert letters.experiment.evaluation.shots == 1
    other = [("run.algorithm", "cavia"), ("run.dataset", "sinusoid")]
    assert resolve(project(tmp_path), load(), other).experiment.algorithm == CAVIA()


def test_what_is_recommended_with_a_setting_needs_that_setting(tmp_path: Path) -> None:
    """A table with groups has no classes: one way."""
    table = [("run.dataset", "table")]
    assert resolve(project(tmp_path), load(), table).experiment.task.ways == 5
    grouped = [*table, ("dataset.group", "patient")]
    found = resolve(project(tmp_path), load(), grouped)
    assert found.experiment.task.ways == 1
    assert found.origins["task.ways"] == "recommended by table with group"
    said = resolve(project(tmp_path), load(), [*grouped, ("task.ways", 2)])
    assert said.experiment.task.ways == 2
    in_file = project(tmp_path, "[dataset.table]\ngroup = 'patient'")
    assert resolve(in_file, load(), table).experiment.task.ways == 1


def test_tables_of_other_plugins_do_no_harm(tmp_path: Path) -> None:
    text = "[model.mlp]\nlayers = [7]\n"
    plain = resolve(project(tmp_path, text), load())
    assert plain.experiment.run.model == "conv4"
    chosen = resolve(project(tmp_path, text), load(), [("run.model", "mlp")])
    assert chosen.experiment.model.model_dump()["layers"] == (7,)


def test_a_table_of_no_plugin_is_told_of(tmp_path: Path, caplog) -> None:
    text = "[algorithm.malm]\ninner_lr = 1\ninner_steps = 2"
    resolve(project(tmp_path, text), load())
    (message,) = caplog.messages
    assert message.endswith("no algorithm plugin 'malm'; did you mean 'maml'?")


def test_the_command_line_sets_nothing_that_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"'model.mlp' .*: the model is 'conv4'"):
        resolve(project(tmp_path), load(), [("model.mlp.layers", [7])])


def test_the_chosen_plugins_table_may_be_named_or_not(tmp_path: Path) -> None:
    for name in ("algorithm.inner_steps", "algorithm.maml.inner_steps"):
        resolved = resolve(project(tmp_path), load(), [(name, 4)])
        assert resolved.experiment.algorithm.model_dump()["inner_steps"] == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[trainig]\nlr = 1", r"unknown table \[trainig\]; did you mean 'training'"),
        ("[training]\nlrr = 1", r"unknown setting 'training.lrr' \(.*toml\); did you"),
        ("[training]\nlr = -1", r"training.lr = -1 \(.*toml\): should be greater"),
        ("[algorithm]\ninner_lr = 1", r"\[algorithm.NAME\]"),
        ("[algorithm.maml]\ninner = 1", r"unknown setting 'algorithm.inner'"),
        ("lr = ", "is not valid TOML"),
        ("lr = 1", r"unknown table \[lr\]"),
        ("training = 1", r"'training' is a table: write \[training\]"),
        ("[training]\nlr = inf", r"training.lr = inf \(.*toml\): should be a finite"),
        ("[algorithm.maml]\ninner_lr = inf", "algorithm.inner_lr = inf .* a finite"),
        ("[run]\nalgorithm = 'mmal'", "no algorithm plugin 'mmal'; did you mean"),
    ],
)
def test_a_wrong_file_says_what_and_where(tmp_path: Path, text, message) -> None:
    with pytest.raises((SettingError, UnknownNameError), match=message) as caught:
        resolve(project(tmp_path, text), load())
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_misspelt_table_is_told_of_by_every_command(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"\[stroe\]; did you mean 'store'"):
        project(tmp_path, "[stroe]\nurl = 'sqlite:///elsewhere.db'")


def test_a_recommendation_that_is_no_setting_names_its_plugin(tmp_path: Path) -> None:
    file = tmp_path / "hasty.py"
    file.write_text(
        "from metapipe import hookimpl\n"
        "from metapipe.testing import TinyModel\n"
        "class Hasty(TinyModel):\n    recommended = {'lr': 1}\n"
        "@hookimpl\n"
        "def register_models(register): register('hasty', Hasty)\n"
    )
    with pytest.raises(SettingError, match=r"'lr \(recommended by hasty\)'"):
        resolve(project(tmp_path), load((file,)), [("run.model", "hasty")])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("trainin.lr", "no table 'trainin'; did you mean 'training'"),
        ("training.lr.x", "is no setting"),
        ("training", "is no setting"),
        ("algorithm.reptil.x.y", "is no setting"),
    ],
)
def test_a_wrong_assignment_says_what(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        resolve(project(tmp_path), load(), [(name, 1)])


def asked(name: str, text: str) -> list[tuple[str, object]]:
    return [parse_assignment(f"{name}={text}")]


def test_an_assignment_is_split_at_its_first_equals_sign() -> None:
    assert parse_assignment("a.b=0.1") == ("a.b", Written("0.1"))
    assert parse_assignment("dataset.root=/x/y=z") == (
        "dataset.root",
        Written("/x/y=z"),
    )
    with pytest.raises(SettingError, match="is no assignment"):
        parse_assignment("lr 3")


def test_an_experiment_survives_the_store(tmp_path: Path) -> None:
    resolved = resolve(
        project(tmp_path), load(), [("training.lr", 0.25), ("model.width", 8)]
    )
    again = Experiment.from_dict(resolved.experiment.to_dict(), load())
    assert again == resolved.experiment


def test_a_repeated_run_is_changed_by_the_command_line_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = resolve(
        project(tmp_path), load(), [("training.lr", 0.25), ("run.name", "x")]
    ).experiment
    monkeypatch.setenv("METAPIPE_TRAINING__LR", "0.5")
    later = project(tmp_path, "[training]\ntasks = 2")
    base = first.to_dict()
    again = resolve(later, load(), [("training.clip", 1.0)], base).experiment
    assert again.training.model_copy(update={"clip": None}) == first.training
    assert again.training.clip == 1.0
    assert again.run.name is None
    other = resolve(later, load(), [("run.model", "mlp")], base).experiment
    assert other.run.model == "mlp"


def test_the_project_is_found_upwards(tmp_path: Path) -> None:
    (tmp_path / "metapipe.toml").write_text("[plugins]\npaths = ['p.py']")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    found = find_project(start=below)
    assert found.directory == tmp_path
    assert found.plugin_paths == (tmp_path / "p.py",)
    with pytest.raises(SettingError, match="cannot read"):
        find_project(tmp_path / "none.toml")


def test_our_own_config_file_is_valid() -> None:
    root = Path(__file__).parents[2]
    resolved = resolve(find_project(root / "metapipe.toml"), load())
    assert resolved.experiment.run.algorithm == "maml"


def test_what_is_no_table_is_refused_by_name() -> None:
    with pytest.raises(SettingError, match=r"\[task\] is no table of settings: 'x'"):
        Experiment.from_dict({"run": {}, "task": "x"}, load())
