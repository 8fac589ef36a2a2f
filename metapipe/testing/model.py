"""What metapipe relies on in a model."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ..algorithm import Meta, TaskLoss
from ..episode import Metrics, Params, Samples
from ..errors import UnsupportedError
from ..model import Model
from ..numerics.attention import has_attention, plain_attention
from ..numerics.functional import apply, inner_loop
from ..numerics.losses import support_loss, task_loss
from ..numerics.support_statistics import support_statistics
from ..numerics.task_map import LocalTaskMap
from ..plugin import Plugin, stochastic_settings
from ..training.learner import drops, require_no_plain_tensors
from .plugin import PluginContract
from .saying import saying
from .slopes import slopes
from .toys import blobs

REPLACE = (
    "Replace what has none, such as fused kernels (for attention call "
    "metapipe.numerics.plain_attention() in build) and operations on values"
)
"""What to do where derivatives are missing."""

REMEDY = (
    "torch's vmap loses second derivatives through the weight of batch, layer and "
    "instance norm. If there is such a layer, scale outside the library call: use "
    "metapipe's BatchNorm or LayerNorm (metapipe.numerics.normalisation)"
)
"""What to do where the mappings disagree."""


class ModelContract(PluginContract):
    """What metapipe relies on in a model."""

    model: ClassVar[Model]
    shape: ClassVar[tuple[int, ...]] = (1, 28, 28)

    @property
    def plugin(self) -> Plugin:
        """The model."""
        return self.model

    def test_outputs_are_as_many_as_asked(self) -> None:
        """(n, outputs), with a layer named `head`; without, features (n, d)."""
        inputs = torch.rand(3, *self.shape)
        network = self.model.build(self.shape, 7, "batch")
        shape = tuple(network(inputs).shape)
        assert shape == (3, 7), (
            f"build(..., outputs=7) makes a network that gives {shape} for 3 inputs: "
            "(3, 7) is wanted"
        )
        names = [name for name, _ in network.named_parameters()]
        assert any(name.startswith("head.") for name in names), (
            f"build(..., outputs=7) makes a network without a layer named `head` (its "
            f"parameters: {', '.join(names)}): give the last one that name"
        )
        features = tuple(self.model.build(self.shape, None, "batch")(inputs).shape)
        assert len(features) == 2, (
            f"build(..., outputs=None) makes a network that gives {features} for 3 "
            "inputs: features (3, d) are wanted"
        )
        assert features[0] == 3, (
            f"build(..., outputs=None) makes a network that gives {features} for 3 "
            "inputs: features (3, d) are wanted"
        )

    def test_batch_statistics_leave_nothing_behind(self) -> None:
        """No buffers, and the same function in training and evaluation mode."""
        network = self.model.build(self.shape, 5, "batch")
        _require_no_buffers(network, "batch")
        inputs = torch.rand(4, *self.shape)
        assert torch.equal(network.train()(inputs), network.eval()(inputs)), (
            "build(..., statistics='batch') makes a network that is another function "
            "in evaluation mode: leave out dropout and running statistics there"
        )

    def test_running_statistics_make_predictions_independent(self) -> None:
        """In evaluation mode an input's output does not depend on its neighbours."""
        network = self.model.build(self.shape, 5, "running").eval().double()
        inputs = torch.rand(4, *self.shape, dtype=torch.float64)
        torch.testing.assert_close(
            network(inputs)[:1],
            network(inputs[:1]),
            msg=saying(
                "build(..., statistics='running') makes a network whose output for an "
                "input depends on the others in the batch, in evaluation mode: hand "
                "`statistics` to the normalisation layers"
            ),
        )

    def test_statistics_of_a_support_set_are_handed_in(self) -> None:
        """No buffers; with them an input's output does not depend on its neighbours,
        and the support set's own is that of its batch."""
        network = self.model.build(self.shape, 5, "support").double()
        _require_no_buffers(network, "support")
        params = Meta.of(network).params
        inputs, queries = torch.rand(2, 4, *self.shape, dtype=torch.float64)
        state = support_statistics(network, params, inputs)
        outputs = apply(network, params, queries, state=state)
        alone = apply(network, params, queries[:1], state=state)
        remedy = "take normalisation layers of metapipe.numerics, with `statistics`"
        torch.testing.assert_close(
            outputs[:1],
            alone,
            msg=saying(
                "build(..., statistics='support') makes a network whose output depends "
                f"on other queries, with the statistics handed in: {remedy}"
            ),
        )
        batch = apply(network, params, inputs)
        torch.testing.assert_close(
            apply(network, params, inputs, state=state),
            batch,
            msg=saying(
                "the support set is given another output by its own statistics than "
                f"as a batch: {remedy}"
            ),
        )

    def test_dropout_is_seen(self) -> None:
        """A network that acts at random in training says so. Where settings are a
        DropShare, they decide that, all together."""
        names = stochastic_settings(type(self.model))
        inputs = torch.rand(4, *self.shape)
        for share in (0.0, 0.5):
            model = self.model.model_copy(update=dict.fromkeys(names, share))
            network = model.build(self.shape, 5, "running").train()
            outputs = [network(inputs) for _ in range(4)]
            same = all(torch.equal(outputs[0], other) for other in outputs)
            assert same or drops(network), (
                "the network acts at random in training mode and does not say so: use "
                "torch's dropout layers, or give the module an attribute `stochastic`"
            )
            assert not names or drops(network) == (share > 0), (
                f"with {' = '.join(names)} = {share} the network "
                + ("drops nothing" if share else "drops all the same")
                + ": in build these settings are to decide it, all together"
            )

    def test_the_seed_decides_the_parameters(self) -> None:
        """The same seed, the same network."""
        parameters = []
        for _ in range(2):
            torch.manual_seed(3)
            network = self.model.build(self.shape, 5, "batch")
            parameters.append(Meta.of(network).params)
        for name, value in parameters[0].items():
            assert torch.equal(value, parameters[1][name]), (
                f"build makes another {name} from the same torch seed: take random "
                "numbers from torch's own generator"
            )

    def test_it_builds_without_memory(self) -> None:
        """On torch's `meta` device, as files are opened; all its tensors are parameters
        and buffers, which files hold."""
        with torch.device("meta"):
            network = self.model.build(self.shape, 5, "batch")
        require_no_plain_tensors(network)
        out = apply(
            network,
            dict(network.named_parameters()),
            torch.rand(2, *self.shape, device="meta"),
        )
        assert out.shape == (2, 5), (
            f"built on torch's meta device the network gives {tuple(out.shape)} for 2 "
            "inputs: (2, 5) is wanted"
        )

    def test_second_derivatives_do_not_depend_on_the_mapping(self) -> None:
        """Of the loss after one step of all parameters, normalisation's among them: by
        loop against central differences, and by `vmap` against the loop, to 1e-9."""
        episodes = blobs(tasks=2, ways=5, shots=1, queries=2, shape=self.shape)
        torch.manual_seed(0)
        network = self.model.build(self.shape, 5, "batch").double()
        if has_attention(network):  # as where a learner is built
            plain_attention()
        params, loss = Meta.of(network).params, _one_step(network)
        try:
            wanted, _ = LocalTaskMap("loop").gradient(loss, params, episodes)
        except (RuntimeError, NotImplementedError) as error:
            raise AssertionError(
                f"the network that build makes has no second derivative: {error}. "
                f"{REPLACE}"
            ) from error

        def mean_loss(moved: Params) -> float:
            _, metrics = LocalTaskMap("loop").gradient(loss, moved, episodes)
            return float(metrics["loss"].mean())

        along = slopes(wanted, mean_loss, params)
        assert along.agree, (
            f"second derivatives are lost in the network that build makes: {along}. "
            f"{REPLACE}"
        )
        try:
            found, _ = LocalTaskMap("vmap").gradient(loss, params, episodes)
        except (RuntimeError, UnsupportedError):
            return  # what `vmap` refuses, or the network: tasks are mapped otherwise
        errors = {name: _error(found[name], wanted[name]) for name in wanted}
        worst = max(errors, key=lambda name: errors[name])
        assert errors[worst] < 1e-9, (
            f"vmap's second-order gradient of {worst} is wrong by {errors[worst]:.1e} "
            f"where loop and differences agree: {REMEDY}"
        )


def _require_no_buffers(network: nn.Module, statistics: str) -> None:
    names = [name for name, _ in network.named_buffers()]
    assert not names, (
        f"build(..., statistics='{statistics}') makes a network with the buffers "
        f"{', '.join(names)}: nothing may stay behind from one batch to the next "
        "(track_running_stats=False)"
    )


def _one_step(network: nn.Module) -> TaskLoss:
    """MAML's: the query loss after a step of gradient descent on the support loss."""

    def loss(
        params: Params, support: Samples, query: Samples
    ) -> tuple[Tensor, Metrics]:
        inner = support_loss(network, support)
        adapted = inner_loop(inner, params, lr=0.1, steps=1, second_order=True)
        return task_loss(apply(network, adapted, query.inputs), query.targets)

    return loss


def _error(found: Tensor, wanted: Tensor) -> float:
    """Relative for large gradients, absolute for small ones."""
    return float(((found - wanted).abs() / wanted.abs().clamp(min=1)).max())
