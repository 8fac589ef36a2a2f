"""Meta-gradients that are recorded and played again, on a CPU by a stand-in: what goes
to its places, and what comes away."""

from dataclasses import replace

import pytest
import torch
from gpus import Training
from recorders import Baked, Played

from metapipe import Meta, UnsupportedError
from metapipe.training import execution
from metapipe.training.capture import Captured
from metapipe.training.exactness import required_same
from metapipe.training.execution import executing, meta_step

METHODS = [
    ("maml", "vmap"),
    ("maml", "loop"),
    ("protonet", "loop"),
    ("r2d2", "loop"),
    ("baseline", "loop"),
]


def prepared(algorithm="maml", mapping="loop", **more):
    training = Training(algorithm, "cpu", mapping, more)
    training.learner = training.learner.executed_by("graph")
    return training


def captured(training, recorder):
    def work(meta, episodes):
        return meta_step(training.learner, meta, episodes, training.learner.mapping)

    return Captured(work, recorder), work


def moved(meta: Meta) -> Meta:
    return Meta({k: p * 1.1 for k, p in meta.params.items()}, meta.state)


def assert_equal(one, other) -> None:
    for first, second in zip(one, other, strict=True):
        assert first.keys() == second.keys()
        for name, value in first.items():
            assert torch.equal(value, second[name]), name


def tensors(step):
    return [tensor for part in step for tensor in part.values()]


@pytest.mark.parametrize(("algorithm", "mapping"), METHODS)
def test_it_is_recorded_once_and_played_with_what_is_given(algorithm, mapping) -> None:
    training, recorder = prepared(algorithm, mapping), Played()
    ours, plain = captured(training, recorder)
    meta = training.state.meta
    for number in range(3):
        (episodes,) = training.draw(number)
        found = ours(meta, episodes)
        wanted = plain(meta, episodes)
        assert_equal(found, wanted)
        meta = Meta(moved(meta).params, found.state)
    assert recorder.recordings == 1


@pytest.mark.parametrize(("algorithm", "mapping"), METHODS)
def test_nothing_is_shared_by_two_iterations(algorithm, mapping) -> None:
    training = prepared(algorithm, mapping)
    ours, _ = captured(training, Played())
    meta, (first,), (second,) = training.state.meta, training.draw(0), training.draw(1)
    given = [*meta.params.values(), *meta.state.values(), *first.support, *first.query]
    before = [tensor.detach().clone() for tensor in given]
    one = ours(meta, first)
    kept = [tensor.clone() for tensor in tensors(one)]
    other = ours(moved(meta), second)
    assert all(map(torch.equal, tensors(one), kept))
    assert all(map(torch.equal, given, before))
    places = {tensor.data_ptr() for tensor in (*given, *tensors(one))}
    assert places.isdisjoint(tensor.data_ptr() for tensor in tensors(other))
    assert not torch.equal(one.metrics["loss"], other.metrics["loss"])


def test_another_shape_is_recorded_for_itself() -> None:
    """Fewer tasks, as in the shards of an odd meta-batch; and other ways of equal
    sizes, which a method reads as a number."""
    training, recorder = prepared("protonet"), Played()
    ours, plain = captured(training, recorder)
    (whole,) = training.draw(0)
    part = whole._replace(
        tasks=whole.tasks[:2],
        support=type(whole.support)(*(t[:2] for t in whole.support)),
        query=type(whole.query)(*(t[:2] for t in whole.query)),
    )
    wider = whole._replace(tasks=tuple(replace(t, ways=4) for t in whole.tasks))
    for episodes in (whole, part, whole, part):
        assert_equal(
            ours(training.state.meta, episodes), plain(training.state.meta, episodes)
        )
    assert recorder.recordings == 2
    ours(training.state.meta, wider)
    assert recorder.recordings == 3


def test_random_numbers_are_those_of_the_generator() -> None:
    """And recording draws none."""
    training = prepared("protonet")
    network = torch.nn.Sequential(training.learner.network, torch.nn.Dropout(0.5))
    training.learner = replace(training.learner, network=network)
    training.state.meta = Meta.of(network)
    ours, plain = captured(training, Played())
    for number in range(2):
        found = []
        for gradient in (ours, plain):
            torch.manual_seed(number)
            found.append(gradient(training.state.meta, training.draw(0)[0]))
            found.append(torch.rand(1))
        assert_equal(found[0], found[2])
        assert torch.equal(found[1], found[3])


@pytest.fixture
def recorder(monkeypatch):
    """As if CPUs had CUDA graphs."""

    def use(stand_in):
        monkeypatch.setattr(execution, "GraphRecorder", lambda device: stand_in)
        monkeypatch.setattr(execution, "require_execution", lambda *_: None)

    return use


@pytest.mark.parametrize(("algorithm", "mapping"), METHODS)
def test_a_training_has_the_bits_of_an_eager_one(recorder, algorithm, mapping) -> None:
    stand_in = Played()
    recorder(stand_in)
    more = {"training": {"tasks": 3, "shards": 2}}
    ours, theirs = (
        prepared(algorithm, mapping, **more),
        Training(algorithm, "cpu", mapping, more),
    )
    assert ours.losses(3) == theirs.losses(3)
    assert stand_in.recordings == 2, "of two tasks, and of one"
    for name, value in theirs.state.meta.params.items():
        assert torch.equal(ours.state.meta.params[name], value), name


def test_it_has_to_earn_it(recorder) -> None:
    """A recording that knows something of its first meta-batch is refused."""
    training = prepared()
    recorder(Played())
    required_same(training.learner, training.state, training.draw)
    recorder(Baked())
    said = r"execution = 'graph': MAML cannot be executed so: .*off .cosine .*use eager"
    with pytest.raises(UnsupportedError, match=said):
        required_same(training.learner, training.state, training.draw)


def test_what_fails_while_it_is_recorded_is_a_line(recorder) -> None:
    def fail(work):
        raise RuntimeError("CUDA error: operation not permitted when stream is\ncaptur")

    recorder(fail)
    training = prepared()
    said = "something in it cannot be recorded .RuntimeError.; use eager"
    with pytest.raises(UnsupportedError, match=said):
        executing(training.learner)(training.state.meta, training.draw(0)[0])
