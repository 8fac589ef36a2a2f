"""Parts of a meta-batch give the step of the whole."""

from dataclasses import replace

import pytest
import torch
from toy_training import learner

from metapipe import Group, Meta, Step
from metapipe.errors import PluginError
from metapipe.testing import blobs
from metapipe.training.execution import meta_step
from metapipe.training.loop import initial_state, iterations
from metapipe.training.merging import merged
from metapipe.training_settings import TrainingSettings


def cut(episodes, *sizes):
    start, parts = 0, []
    for size in sizes:
        part = slice(start, start + size)
        sets = ((type(s)(*(t[part] for t in s))) for s in episodes[1:3])
        parts.append(episodes._replace(tasks=episodes.tasks[part]))
        parts[-1] = parts[-1]._replace(
            **dict(zip(("support", "query"), sets, strict=True))
        )
        start += size
    return parts


@pytest.mark.parametrize("sizes", [(4,), (2, 2), (1, 3), (1, 1, 1, 1)])
def test_parts_of_any_sizes_give_the_gradient_of_the_whole(sizes) -> None:
    ours, meta = learner()
    episodes = blobs()
    whole = meta_step(ours, meta, episodes, ours.mapping)
    steps = [meta_step(ours, meta, p, ours.mapping) for p in cut(episodes, *sizes)]
    found = merged(steps, sizes)
    for name, gradient in whole.gradients.items():
        torch.testing.assert_close(found.gradients[name], gradient, rtol=0, atol=1e-14)
    for name, values in whole.metrics.items():
        assert torch.equal(found.metrics[name], values)


def test_state_is_averaged_by_tasks_and_integers_have_to_agree() -> None:
    def step(mean: float, count: int) -> Step:
        metrics = {"loss": torch.zeros(1)}
        return Step({}, metrics, {"m": torch.tensor(mean), "n": torch.tensor(count)})

    found = merged([step(1.0, 7), step(4.0, 7)], [3, 1])
    assert found.state["m"].item() == pytest.approx(1.75)
    assert found.state["n"].item() == 7
    with pytest.raises(PluginError, match="disagree on the integer 'n'"):
        merged([step(1.0, 7), step(1.0, 8)], [1, 1])


def test_training_in_parts_is_training_on_the_whole() -> None:
    settings = TrainingSettings(iterations=5, lr=0.01)
    ours, meta = learner()
    whole, parts = initial_state(meta, settings), initial_state(meta, settings)
    for _ in iterations(ours, whole, settings, lambda n: [blobs(seed=n)], seed=0):
        pass
    for it in iterations(ours, parts, settings, lambda n: cut(blobs(seed=n), 1, 3), 0):
        assert len(it.tasks) == 4
        assert it.metrics["loss"].shape == (4,)
    for name, p in whole.meta.params.items():
        torch.testing.assert_close(p, parts.meta.params[name], rtol=0, atol=1e-12)


def test_passes_are_steps_on_the_same_meta_batch() -> None:
    """Three passes are three iterations on one meta-batch; the loss told is that of the
    first."""
    ours, meta = learner()
    once = TrainingSettings(iterations=3, optimiser="sgd", lr=0.1)
    thrice = once.model_copy(update={"iterations": 1, "passes": 3})
    first, second = initial_state(meta, once), initial_state(meta, thrice)
    loop = iterations(ours, first, once, lambda _: [blobs(seed=0)], seed=0)
    losses = [iteration.loss for iteration in loop]
    (only,) = iterations(ours, second, thrice, lambda _: [blobs(seed=0)], seed=0)
    assert only.loss == losses[0]
    assert second.step == 1
    for name, p in first.meta.params.items():
        torch.testing.assert_close(p, second.meta.params[name], rtol=0, atol=1e-14)


def test_further_figures_are_those_of_the_last_pass() -> None:
    """How far a policy went from the one that acted is nothing in the first pass."""
    ours, meta = learner()

    class Moving:
        passes = 0

        def meta_gradient(self, network, meta, episodes, over):
            self.passes += 1
            zeros = {name: torch.zeros_like(p) for name, p in meta.params.items()}
            figures = {"loss": self.passes, "accuracy": self.passes, "kl": self.passes}
            told = {name: torch.tensor([float(v)]) for name, v in figures.items()}
            return Step(zeros, told, {})

    moving = replace(ours, algorithm=Moving())
    settings = TrainingSettings(iterations=1, passes=3)
    state = initial_state(meta, settings)
    (only,) = iterations(moving, state, settings, lambda _: [blobs()], seed=0)
    figures = {name: figure.tolist() for name, figure in only.metrics.items()}
    assert figures == {"loss": [1.0], "accuracy": [1.0], "kl": [3.0]}
    assert only.loss == 1.0


def test_a_group_has_a_rate_of_its_own() -> None:
    meta = Meta({"slow": torch.ones(2), "head.scale": torch.ones(())})
    settings = TrainingSettings(optimiser="sgd", lr=0.5)
    state = initial_state(meta, settings, (Group("head.", rate=3.0),))
    assert [group["rate"] for group in state.optimiser.param_groups] == [1.0, 3.0]
    ours, _ = learner()

    class Slope:
        def meta_gradient(self, network, meta, episodes, over):
            ones = {name: torch.ones_like(p) for name, p in meta.params.items()}
            return Step(ones, {"loss": torch.ones(1)}, {})

    sloping = replace(ours, algorithm=Slope())
    one = settings.model_copy(update={"iterations": 1})
    for _ in iterations(sloping, state, one, lambda _: [blobs()], seed=0):
        pass
    assert state.meta.params["slow"].tolist() == [0.5, 0.5]
    assert state.meta.params["head.scale"].item() == -0.5
