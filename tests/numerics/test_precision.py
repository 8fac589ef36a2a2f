"""A lower precision reaches wherever a network is called."""

from dataclasses import replace

import pytest
import torch

from metapipe import Meta, Problem, UnsupportedError
from metapipe.numerics import LocalTaskMap, apply, computing_in, exactly
from metapipe.testing import TinyModel, blobs
from metapipe.training import exactness
from metapipe.training.exactness import require_exact
from metapipe.training.learner import build_learner
from metapipe.training.loop import initial_state
from metapipe.training_settings import TrainingSettings
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.models.conv4 import Conv4

MAPS = [
    LocalTaskMap("loop"),
    LocalTaskMap("vmap"),
    LocalTaskMap("chunks", 3),
    LocalTaskMap("threads", 2),
]


def floats(episodes):
    sets = (
        samples._replace(inputs=samples.inputs.float()) for samples in episodes[1:3]
    )
    return episodes._replace(**dict(zip(("support", "query"), sets, strict=True)))


def built(**settings):
    problem = Problem("classification", (6,), 3)
    algorithm = MAML(inner_lr=0.1, **settings)
    learner, meta = build_learner(algorithm, TinyModel(), problem, "cpu", 0)
    return learner, meta


@pytest.mark.parametrize("task_map", MAPS, ids=str)
@pytest.mark.parametrize("first_order", [True, False])
def test_it_reaches_worker_threads_and_vmap(task_map, first_order) -> None:
    learner, meta = built(first_order=first_order)
    args = (learner.network, meta, floats(blobs()))
    exact = learner.algorithm.meta_gradient(*args, task_map)
    with computing_in("bfloat16"):
        cast = learner.algorithm.meta_gradient(*args, task_map)
        loop = learner.algorithm.meta_gradient(*args, LocalTaskMap("loop"))
    for name, gradient in exact.gradients.items():
        assert cast.gradients[name].dtype == torch.float32
        assert not torch.equal(cast.gradients[name], gradient), "it was silently off"
        torch.testing.assert_close(
            cast.gradients[name], loop.gradients[name], rtol=0.05, atol=0.01
        )


@pytest.mark.parametrize("task_map", MAPS, ids=str)
def test_it_goes_with_batch_normalisation(task_map) -> None:
    """Whose sums are of float32: `vmap` takes no two types in one."""
    problem = Problem("classification", (1, 8, 8), 3)
    network = Conv4(width=4, blocks=2)
    learner, meta = build_learner(MAML(inner_lr=0.1), network, problem, "cpu", 0)
    args = (learner.network, meta, floats(blobs(shape=(1, 8, 8))), task_map)
    exact = learner.algorithm.meta_gradient(*args)
    with computing_in("bfloat16"):
        cast = learner.algorithm.meta_gradient(*args)
    one, other = (
        torch.cat([gradient.flatten() for gradient in step.gradients.values()])
        for step in (exact, cast)
    )
    assert not torch.equal(one, other), "it was silently off"
    assert torch.cosine_similarity(one, other, dim=0) > 0.9


def test_outputs_are_float32_again_and_outside_nothing_is_cast() -> None:
    network = torch.nn.Linear(6, 3)
    meta = Meta.of(network)
    inputs = torch.randn(4, 6)
    exact = apply(network, meta.params, inputs)
    with computing_in("bfloat16"):
        cast = apply(network, meta.params, inputs)
    assert cast.dtype == torch.float32
    wanted = torch.nn.functional.linear(
        inputs.bfloat16(), network.weight.bfloat16(), network.bias.bfloat16()
    )
    assert torch.equal(cast, wanted.float())
    assert torch.equal(apply(network, meta.params, inputs), exact)


def test_a_layer_may_compute_a_part_exactly() -> None:
    torch.manual_seed(0)
    inputs, types = torch.rand(4, 6), []

    class Layer(torch.nn.Linear):
        def forward(self, inputs):
            product = exactly(lambda: inputs @ self.weight.T, "cpu")
            types.append((product.dtype, (inputs @ self.weight.T).dtype))
            return product

    layer = Layer(6, 3)
    for precision in ("float32", "bfloat16"):
        with computing_in(precision):
            found = apply(layer, dict(layer.named_parameters()), inputs)
        torch.testing.assert_close(found, inputs @ layer.weight.T)
    assert types == [2 * (torch.float32,), (torch.float32, torch.bfloat16)]


def test_it_has_to_earn_it() -> None:
    learner, meta = built()
    cast = replace(learner, precision="bfloat16")
    state = initial_state(meta, TrainingSettings())
    require_exact(cast, state, lambda _: [floats(blobs())])

    class Off(MAML):
        def meta_gradient(self, network, meta, episodes, over):
            step = super().meta_gradient(network, meta, episodes, over)
            probe = apply(network, meta.params, episodes.query.inputs[0])
            exact = torch.nn.functional.linear(
                torch.tanh(
                    torch.nn.functional.linear(
                        episodes.query.inputs[0],
                        meta.params["hidden.weight"],
                        meta.params["hidden.bias"],
                    )
                ),
                meta.params["head.weight"],
                meta.params["head.bias"],
            )
            sign = 1.0 if torch.allclose(probe, exact, atol=1e-6) else -1.0
            turned = {name: sign * g for name, g in step.gradients.items()}
            return step._replace(gradients=turned)

    off = replace(cast, algorithm=Off(inner_lr=0.1))
    with pytest.raises(UnsupportedError, match=r"cosine -1\.00\d+ with float32's"):
        require_exact(off, state, lambda _: [floats(blobs())])


def test_what_just_misses_is_not_written_as_what_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learner, meta = built()
    cast = replace(learner, precision="bfloat16")
    state = initial_state(meta, TrainingSettings())
    monkeypatch.setattr(exactness, "_cosine", lambda *steps: 0.98999999)
    with pytest.raises(UnsupportedError, match=r"cosine 0\.98999 with .*, 0\.99 is wa"):
        require_exact(cast, state, lambda _: [floats(blobs())])
