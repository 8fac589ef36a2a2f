"""What a run is tested on was not trained on, also if it is of another data set."""

from dataclasses import replace

import numpy as np
import pytest
from pictures import picture
from shared import DATA, needs_data

from metapipe.data.array_source import ArraySource, GroupSource
from metapipe.errors import DataError
from metapipe.experiment.project import Project
from metapipe.experiment.registry import load
from metapipe.experiment.resolve import resolve
from metapipe.runs.examination import Changes, evaluate
from metapipe.runs.pipeline import train
from metapipe.runs.replay import replay
from metapipe.runs.stored_run import stored_checkpoint
from metapipe.runs.unseen import shared_items, shared_names
from metapipe.store import TaskStore, default_url

REGISTRY = load()
NAMES = [f"c{number:02}" for number in range(10)]
EACH = 24
SETTINGS = {
    "run.algorithm": "protonet",
    "run.model": "mlp",
    "model.layers": [4],
    "task.ways": 2,
    "task.shots": 1,
    "task.queries": 1,
    "training.iterations": 1,
    "training.tasks": 1,
    "training.validate_every": 0,
    "evaluation.episodes": 2,
}


def write(root, classes, seed=0):
    """A folder a class, of pictures that are kept as they are: 8 by 8."""
    for name in classes:
        (root / name).mkdir(parents=True)
        for number in range(EACH):
            picture(seed, (8, 8)).save(root / name / f"{number:02}.png")
            seed += 1
    return root


def trained(folder, store, **given):
    asked = resolve(Project(folder), REGISTRY, [*SETTINGS.items(), *given.items()])
    return train(asked.experiment, REGISTRY, store, folder).run_id


@pytest.fixture
def store(tmp_path):
    with TaskStore.open(default_url(tmp_path)) as store:
        yield store


@pytest.fixture
def run(tmp_path, store):
    """Number of a run on a folder of pictures."""
    root = write(tmp_path / "data", NAMES)
    own = {"dataset.root": str(root), "dataset.size": 8}
    return trained(tmp_path, store, **{"run.dataset": "image-folder", **own})


@pytest.fixture
def other(tmp_path):
    """Folder of another data set, of other pictures; its test classes are x2 and x3."""
    root = write(tmp_path / "other", ["x0", "x1", "x2", "x3"], seed=10_000)
    for split, names in (("train", ["x0"]), ("val", ["x1"]), ("test", ["x2", "x3"])):
        (root / f"{split}.txt").write_text("\n".join(names))
    return root


def known_to(store, run):
    return stored_checkpoint(store, store.run(run), "best").header["classes"]


def evaluated(store, run, root, name="mini-imagenet"):
    settings = {"root": root, "size": 8}
    dataset = REGISTRY.create("dataset", name, settings)
    row = store.run(run)
    asked = resolve(Project(root), REGISTRY, [("evaluation.split", "test")], row.config)
    return evaluate(
        run,
        REGISTRY,
        store,
        asked.experiment.evaluation,
        Changes(dataset, name, {"root": str(root), "size": 8}),
    )


def test_what_is_new_is_no_news(store, run, other, caplog):
    with caplog.at_level("INFO", "metapipe"):
        found = evaluated(store, run, other)
    assert set(found.settings) == {"dataset.root", "dataset.size"}
    assert "trained on" not in caplog.text


def test_content_that_was_trained_on_is_refused_whatever_its_name(
    store, run, other, tmp_path
):
    seen = known_to(store, run)[0]
    for path in (tmp_path / "data" / seen).iterdir():
        (other / "x3" / path.name).write_bytes(path.read_bytes())
    before = len(store.evaluations(run))
    with pytest.raises(DataError) as caught:
        evaluated(store, run, other)
    assert str(caught.value).startswith(
        f"{EACH} items of mini-imagenet, in 1 of its 2 classes, were trained on: of "
        f"'x3' {EACH} of {EACH}, as '{seen}'"
    )
    assert len(store.evaluations(run)) == before


def test_one_picture_in_many_is_a_slip_and_is_told(store, run, other, tmp_path, caplog):
    seen = known_to(store, run)[0]
    content = (tmp_path / "data" / seen / "00.png").read_bytes()
    (other / "x2" / "05.png").write_bytes(content)
    found = evaluated(store, run, other)
    assert found.settings["shared_items"] == 1
    assert f"of 'x2' 1 of {EACH}, as '{seen}'" in caplog.text
    (other / "x2" / "06.png").write_bytes(content)
    with pytest.raises(DataError, match=f"2 of {EACH}"):
        evaluated(store, run, other)


def test_names_alone_are_told_and_kept(store, run, other, caplog):
    """Of other things: they may be called alike by chance."""
    seen = known_to(store, run)[1]
    (other / "x2").rename(other / seen)
    (other / "test.txt").write_text(f"{seen}\nx3")
    found = evaluated(store, run, other)
    assert "1 of the 2 classes of mini-imagenet are called as some" in caplog.text
    assert f"such as '{seen}'" in caplog.text
    assert found.settings["shared_classes"] == 1
    assert store.evaluations(run)[-1].settings["shared_classes"] == 1
    episode = next(e for e in store.episodes(run) if e.evaluation_id == found.id)
    again = replay(episode.id, REGISTRY, store)
    assert again.loss == pytest.approx(episode.loss, rel=1e-5)


@pytest.mark.parametrize("how", ["gone", "changed"])
def test_without_the_training_data_names_are_what_is_left(
    how, store, run, other, tmp_path, caplog
):
    seen = known_to(store, run)[0]
    for path in (tmp_path / "data" / seen).iterdir():
        (other / "x3" / path.name).write_bytes(path.read_bytes())
    if how == "gone":
        (tmp_path / "data").rename(tmp_path / "elsewhere")
    else:
        write(tmp_path / "data", ["more"], seed=20_000)
    found = evaluated(store, run, other)
    assert "mini-imagenet: compared with what was trained on by name: " in caplog.text
    assert "shared_items" not in found.settings


def test_of_the_runs_own_data_set_names_are_an_error(store, run, tmp_path):
    root = write(tmp_path / "new", NAMES, seed=30_000)
    asked = {"root": root, "size": 8, "split_seed": 1}
    dataset = REGISTRY.create("dataset", "image-folder", asked)
    row = store.run(run)
    experiment = resolve(Project(tmp_path), REGISTRY, [], row.config).experiment
    with pytest.raises(DataError, match="were trained on, such as 'c"):
        evaluate(run, REGISTRY, store, experiment.evaluation, Changes(dataset=dataset))


def test_copies_in_another_folder_of_the_same_kind_are_found(store, run, tmp_path):
    """The data set is the run's own by name, and has other settings."""
    order = [(number + 5) % 10 for number in range(10)]  # chance splits them otherwise
    root = write(tmp_path / "copies", [f"y{number}" for number in order])
    with pytest.raises(DataError, match="items of image-folder, in"):
        evaluated(store, run, root, "image-folder")


def test_groups_of_a_regression_are_looked_for_too(store, tmp_path):
    rng = np.random.default_rng(0)
    lines = [f"g{n},{x},{n * x}" for n in range(10) for x in rng.normal(size=4)]
    table = tmp_path / "waves.csv"
    table.write_text("\n".join(["who,x,y", *lines]))
    own = {"dataset.root": str(table), "dataset.label": "y", "dataset.group": "who"}
    shape = {"run.algorithm": "maml", "task.ways": 1}
    run = trained(tmp_path, store, **{"run.dataset": "table", **own, **shape})
    row = store.run(run)
    experiment = resolve(Project(tmp_path), REGISTRY, [], row.config).experiment
    header = stored_checkpoint(store, row, "best").header
    assert header["classes"] == []
    assert header["groups"] == list(experiment.dataset.open("train").facts.groups)
    assert evaluate(run, REGISTRY, store, experiment.evaluation).settings == {}
    other = experiment.dataset.model_copy(update={"split_seed": 1})
    with pytest.raises(DataError, match=r"of the \d groups of table were trained on"):
        evaluate(run, REGISTRY, store, experiment.evaluation, Changes(dataset=other))


def groups(names, items, targets):
    starts = np.arange(len(names) + 1) * (len(items) // len(names))
    return GroupSource(items, names, starts, targets=targets)


def test_rows_are_the_same_if_their_targets_are():
    """The same moments are measured in every group."""
    moments = np.tile(np.arange(4, dtype=np.float32), 2)[:, None]
    targets = np.arange(8, dtype=np.float32)[:, None]
    one = groups(["a", "b"], moments, targets)
    assert shared_items(one, groups(["a", "c"], moments, targets + 100), "new") == {}
    again = np.concatenate([targets[4:], targets[4:] + 100])
    with pytest.raises(DataError, match=r"in 1 of its 2 groups, .* of 'd' 4 of 4"):
        shared_items(one, groups(["d", "e"], moments, again), "new")
    assert shared_names(["a", "b"], replace(one, names=["b", "z"]), "new") == {
        "shared_classes": 1
    }


def test_items_of_another_shape_say_nothing():
    wide, tall = (np.zeros(shape, np.float32) for shape in ((4, 6), (4, 2, 3)))
    one, two = (ArraySource(items, "ab", np.array([0, 2, 4])) for items in (wide, tall))
    assert shared_items(one, two, "new") == {}
    with pytest.raises(DataError, match="in 2 of its 2 classes"):
        shared_items(one, one, "new")


@needs_data
def test_classes_of_fc100_are_found_in_cifar_fs():
    """Both are made of CIFAR-100, split otherwise."""
    source, test = (
        REGISTRY.create("dataset", name, {"root": DATA}).open(split)
        for name, split in (("cifar-fs", "train"), ("fc100", "test"))
    )
    assert shared_names(source.facts.classes, test, "fc100") == {"shared_classes": 11}
    with pytest.raises(DataError, match="2201 items of fc100, in 12 of its 20 classes"):
        shared_items(source, test, "fc100")
