"""Runs whose meta-batches have other ways and shots, and classes unequal numbers."""

from collections import Counter
from dataclasses import replace
from math import isfinite

import pytest
from commands import TINY, metapipe, metapipe_json
from scipy.stats import chisquare

from metapipe import UnsupportedError
from metapipe.errors import SettingError
from metapipe.experiment.experiment import Experiment
from metapipe.experiment.registry import load
from metapipe.runs.evaluations import evaluation_tasks
from metapipe.runs.preparation import prepare
from metapipe.runs.recipes import extremes, meta_batch
from metapipe.store import TaskStore, default_url
from metapipe.training.evaluation import evaluate, together
from metapipe_plugins.algorithms.snail import SNAIL

REGISTRY = load()
FREE = ("protonet", "metaoptnet", "r2d2", "matchingnet", "relationnet", "baseline")
FIXED = ("maml", "anil", "cavia", "imaml", "meta-sgd", "maml++", "reptile", "snail")


def experiment(algorithm="protonet", evaluation=None, **task):
    """On digits, quick; nothing is validated."""
    return Experiment.from_dict(
        {
            "run": {"algorithm": algorithm, "model": "conv4", "dataset": "digits"},
            "model": {"width": 4, "blocks": 2},
            "task": {"queries": 3, **task},
            "training": {"tasks": 3, "shards": 2, "validate_every": 0},
            "evaluation": {"episodes": 3, **(evaluation or {})},
        },
        REGISTRY,
    )


def figures(asked):
    """The losses of some meta-batches by the method's own step, and of an evaluation,
    with the shapes of what was drawn."""
    ready = prepare(asked)
    learner, meta, source = ready.learner, ready.meta, ready.sources["train"]
    shapes, losses = set(), []
    for iteration in range(4):
        for part in meta_batch(asked, iteration):
            episodes = source.draw(part)
            args = (learner.network, meta, episodes, learner.mapping)
            step = learner.algorithm.meta_gradient(*args)
            shapes.add((part[0].ways, part[0].shots, episodes.support.targets.shape[1]))
            losses += step.metrics["loss"].tolist()
    recipes = evaluation_tasks(asked, asked.evaluation)
    judged = list(evaluate(learner, meta, ready.sources["test"], recipes, step=0))
    assert all(map(isfinite, [*losses, *(record.loss for record in judged)]))
    assert len(losses) == 12
    return shapes


def test_parts_of_a_meta_batch_agree_in_shape_and_all_shapes_are_as_likely():
    varying = experiment(ways=2, ways_to=4, shots=1, shots_to=5)
    found = Counter()
    for iteration in range(3000):
        parts = meta_batch(varying, iteration)
        recipes = [task for part in parts for task in part]
        assert [len(part) for part in parts] == [1, 2]
        assert [task.index for task in recipes] == [3 * iteration + n for n in range(3)]
        for part in parts:
            (shape,) = {(task.ways, task.shots) for task in part}
            found[shape] += 1
    assert set(found) == {(w, s) for w in (2, 3, 4) for s in range(1, 6)}
    assert chisquare(list(found.values())).pvalue > 1e-3


def test_the_smallest_and_the_largest_are_told():
    varying = experiment(ways=2, ways_to=4, shots=1, shots_to=5)
    assert [(t.ways, t.shots) for t in extremes(varying)] == [(2, 1), (4, 5)]
    assert len(list(extremes(experiment(ways=2)))) == 1


def test_without_a_range_nothing_is_drawn_for_it():
    (part, *_) = meta_batch(experiment(ways=2, shots=3), 7)
    assert {(t.ways, t.shots, t.support) for t in part} == {(2, 3, None)}


def test_a_range_that_ends_before_it_begins_is_refused():
    with pytest.raises(SettingError, match="ways_to = 3 is less than ways = 4"):
        experiment(ways=4, ways_to=3)


def test_episodes_may_have_a_fixed_number_of_items():
    """As R2-D2 is trained: what the support leaves are queries."""
    task = {"ways": 2, "ways_to": 4, "shots": 1, "shots_to": 5, "images": 26}
    varying = experiment("r2d2", {"queries": 2}, **task)
    ready = prepare(varying)
    shapes = set()
    for iteration in range(60):
        (recipe, *_), *_ = meta_batch(varying, iteration)
        assert recipe.queries == 26 // recipe.ways - recipe.shots
        shapes.add((recipe.ways, recipe.shots))
        if iteration < 4:
            drawn = ready.sources["train"].draw([recipe])
            count = drawn.support.targets.numel() + drawn.query.targets.numel()
            assert count == 26 - 26 % recipe.ways
    assert len(shapes) == 15
    assert evaluation_tasks(varying, varying.evaluation)[0].queries == 2
    with pytest.raises(SettingError, match="no query: give 24 at least"):
        experiment(**{**task, "images": 23})
    with pytest.raises(UnsupportedError, match="shots"):  # of the fewest ways
        prepare(experiment(**{**task, "images": 4000}))


@pytest.mark.parametrize("name", FREE)
def test_ways_and_shots_vary(name):
    shapes = figures(experiment(name, ways=2, ways_to=4, shots=1, shots_to=4))
    assert len(shapes) > 2
    assert all(count == ways * shots for ways, shots, count in shapes)


@pytest.mark.parametrize("name", FIXED)
def test_a_head_for_one_number_of_classes_refuses_a_range(name):
    with pytest.raises(UnsupportedError, match=r"ways_to = 4: .* has a head for one"):
        prepare(experiment(name, ways=3, ways_to=4))
    shapes = figures(experiment(name, ways=3, shots=1, shots_to=4))
    assert len(shapes) > 1  # shots may vary, snail's beyond none that it spans


@pytest.mark.parametrize("name", [*FREE, *FIXED])
def test_classes_have_unequal_numbers(name):
    judged = {"support": 7, "shots": 4}
    shapes = figures(experiment(name, judged, ways=3, shots=5, support=9))
    assert shapes == {(3, 5, 9)}


def test_what_no_classes_have_is_refused_before_the_run():
    with pytest.raises(UnsupportedError, match="support = 2: 3 classes have one"):
        prepare(experiment(ways=3, shots=5, support=2))
    with pytest.raises(UnsupportedError, match="support = 3000: class '"):
        prepare(experiment(ways=3, shots=1000, support=9000))
    wide = {"ways_to": 4, "shots_to": 1000, "support": 2000}
    with pytest.raises(UnsupportedError, match="support = 2000: class '"):
        prepare(experiment(evaluation=wide, ways=2))


def test_meta_datasets_sampler():
    """Ways and the mean of the shots are uniform, and the support set has at most so
    many; in training each part has its own."""
    drawn = {"ways": 2, "ways_to": 4, "shots": 1, "shots_to": 20, "support": 40}
    asked = experiment(evaluation={**drawn, "episodes": 3000}, **drawn)
    parts = [part[0] for n in range(1500) for part in meta_batch(asked, n)]
    shapes = Counter(
        (ways, min(40, ways * mean)) for ways in (2, 3, 4) for mean in range(1, 21)
    )
    for recipes in (evaluation_tasks(asked, asked.evaluation), parts):
        found = Counter((task.ways, task.support) for task in recipes)
        assert set(found) == set(shapes)
        expected = [3000 / 60 * shapes[shape] for shape in found]
        assert chisquare(list(found.values()), expected).pvalue > 1e-3
    prepare(asked)


def test_snail_does_not_thin_out_what_is_unequal():
    asked = experiment("snail", ways=3, shots=5, support=9)
    snail = SNAIL(random_shots=True)
    source = asked.dataset.open("train")
    (part, *_) = meta_batch(asked, 0)
    with pytest.raises(UnsupportedError, match="random_shots"):
        snail.shuffled(source.draw(part))


def test_an_unequal_episode_is_drawn_again_from_the_store(tmp_path):
    metapipe(
        *("train", *TINY, "--plugin", "protonet", "--shots", "5", "--iterations", "2"),
        *("-s", "task.support=9", "-s", "evaluation.support=7", "--log-every", "1"),
        *("--validate-every", "0"),
        cwd=tmp_path,
    )
    with TaskStore.open(default_url(tmp_path)) as store:
        rows = store.episodes(1, limit=100)
    training = [row for row in rows if row.evaluation_id is None]
    judged = [row for row in rows if row.evaluation_id is not None]
    assert {row.task.support for row in training} == {9}
    assert {row.task.support for row in judged} == {7}
    shown = metapipe_json("episodes", "show", str(judged[0].id), cwd=tmp_path)
    assert shown["loss"] == pytest.approx(judged[0].loss, rel=1e-4)
    picture = ("--png", "x.png")
    metapipe("episodes", "show", str(training[0].id), *picture, cwd=tmp_path)
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


RANGE = {"ways": 2, "ways_to": 4, "shots": 1, "shots_to": 3, "queries": 2}


def test_episodes_of_an_evaluation_have_ways_and_shots_of_their_own():
    """Each from its own integers: more episodes, or others beside it, change none."""
    asked = experiment(evaluation={**RANGE, "episodes": 900})
    recipes = evaluation_tasks(asked, asked.evaluation)
    assert [task.index for task in recipes] == list(range(900))
    found = Counter((task.ways, task.shots) for task in recipes)
    assert set(found) == {(w, s) for w in (2, 3, 4) for s in (1, 2, 3)}
    assert chisquare(list(found.values())).pvalue > 1e-3
    fewer = asked.evaluation.model_copy(update={"episodes": 7})
    assert evaluation_tasks(asked, fewer) == recipes[:7]
    other = asked.evaluation.model_copy(update={"seed": 1})
    assert evaluation_tasks(asked, other) != [replace(t, seed=1) for t in recipes]


@pytest.mark.parametrize("prediction", ["together", "alone"])
def test_episodes_of_all_shapes_are_judged_in_their_order(prediction):
    """As each is by itself, whoever is judged with it."""
    asked = experiment(evaluation={**RANGE, "episodes": 40})
    ready = prepare(asked)
    args = (ready.learner, ready.meta, ready.sources["test"])
    recipes = evaluation_tasks(asked, asked.evaluation)
    mode = {"step": 0, "prediction": prediction}
    judged = list(evaluate(*args, recipes, **mode))
    assert [record.task for record in judged] == recipes
    for record in judged[::7]:
        (alone,) = evaluate(*args, [record.task], **mode)
        assert record.loss == pytest.approx(alone.loss, rel=1e-4)
        assert record.accuracy == alone.accuracy
        share = record.accuracy * record.task.ways * record.task.queries
        assert share == pytest.approx(round(share), abs=1e-4)


def test_one_shape_is_judged_at_a_time():
    asked = experiment(evaluation={**RANGE, "episodes": 600})
    recipes = evaluation_tasks(asked, asked.evaluation)
    batches = together(recipes, 32)
    assert sorted(place for batch in batches for place in batch) == list(range(600))
    for batch in batches:
        assert len(batch) <= 32
        assert len({place // 256 for place in batch}) == 1, "as pages are read"
        assert len({(recipes[p].ways, recipes[p].shots) for p in batch}) == 1
    alike = [replace(recipes[0], index=index) for index in range(70)]
    assert together(alike, 32) == [
        list(range(32)),
        list(range(32, 64)),
        list(range(64, 70)),
    ]


def test_ranges_that_cannot_be_evaluated_are_refused():
    with pytest.raises(SettingError, match=r"evaluation\.ways_to = 1 is less than"):
        prepare(experiment(ways=2, evaluation={"ways_to": 1}))
    with pytest.raises(UnsupportedError, match=r"evaluation\.ways_to = 4: maml has a"):
        prepare(experiment("maml", ways=2, evaluation={"ways_to": 4}))
    with pytest.raises(UnsupportedError, match="cannot give 400 ways"):
        prepare(experiment(ways=2, evaluation={"ways_to": 400}))
    prepare(experiment("maml", ways=2, evaluation={"shots_to": 4}))


@pytest.mark.parametrize(
    ("asked", "advice"),
    [
        ({"ways": 2, "ways_to": 40}, "use --ways-to [0-9]+ or fewer"),
        ({"ways": 40}, "use --ways [0-9]+ or fewer"),
        ({"shots": 1, "shots_to": 999}, "use --shots-to and --queries of together"),
        ({"shots": 999}, "use --shots and --queries of together"),
        ({"shots": 998, "shots_to": 999}, "use --shots and --queries of together"),
    ],
)
@pytest.mark.parametrize("section", ["task", "evaluation"])
def test_advice_names_the_end_of_the_range_that_is_too_large(
    section, asked, advice
) -> None:
    tables = asked if section == "task" else {"evaluation": asked}
    with pytest.raises(UnsupportedError, match=advice):
        prepare(experiment("protonet", **{"ways": 2, "shots": 1} | tables))
