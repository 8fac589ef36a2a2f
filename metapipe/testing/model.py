"""What metapipe relies on in a model."""

from __future__ import annotations

from typing import ClassVar

import torch

from ..contracts import Model, Plugin, stochastic_settings
from ..functional import apply, meta_of
from ..learner import drops
from .plugin import PluginContract


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
        assert network(inputs).shape == (3, 7)
        assert any(name.startswith("head.") for name, _ in network.named_parameters())
        features = self.model.build(self.shape, None, "batch")(inputs)
        assert features.ndim == 2
        assert features.shape[0] == 3

    def test_batch_statistics_leave_nothing_behind(self) -> None:
        """No buffers, and the same function in training and evaluation mode."""
        network = self.model.build(self.shape, 5, "batch")
        assert not list(network.buffers())
        inputs = torch.rand(4, *self.shape)
        assert torch.equal(network.train()(inputs), network.eval()(inputs))

    def test_running_statistics_make_predictions_independent(self) -> None:
        """In evaluation mode an input's output does not depend on its neighbours."""
        network = self.model.build(self.shape, 5, "running").eval().double()
        inputs = torch.rand(4, *self.shape, dtype=torch.float64)
        torch.testing.assert_close(network(inputs)[:1], network(inputs[:1]))

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
            assert same or drops(network), "it acts at random and does not say so"
            assert not names or drops(network) == (share > 0)

    def test_the_seed_decides_the_parameters(self) -> None:
        """The same seed, the same network."""
        parameters = []
        for _ in range(2):
            torch.manual_seed(3)
            network = self.model.build(self.shape, 5, "batch")
            parameters.append(meta_of(network).params)
        for name, value in parameters[0].items():
            assert torch.equal(value, parameters[1][name])

    def test_it_builds_without_memory(self) -> None:
        """On torch's `meta` device."""
        with torch.device("meta"):
            network = self.model.build(self.shape, 5, "batch")
        out = apply(
            network,
            dict(network.named_parameters()),
            torch.rand(2, *self.shape, device="meta"),
        )
        assert out.shape == (2, 5)
