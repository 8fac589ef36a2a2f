"""What metapipe relies on in an algorithm that needs no training."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ..algorithm import Algorithm, Meta
from ..episode import Episodes, Params, Samples
from ..model import Model
from ..plugin import Plugin
from ..problem import Problem, Statistics
from .plugin import PluginContract
from .saying import saying
from .toys import blobs


class _Vectors(Model):
    """Features are the inputs."""

    def build(
        self, shape: tuple[int, ...], outputs: int | None, statistics: Statistics
    ) -> nn.Module:
        return nn.Flatten()


class HeadContract(PluginContract):
    """What metapipe relies on in an algorithm that needs no training: it learns a task
    from vectors that a backbone made, and has no parameters of its own before that."""

    algorithm: ClassVar[Algorithm]

    @property
    def plugin(self) -> Plugin:
        """The head."""
        return self.algorithm

    def episodes(self, ways: int = 3, shots: int = 3) -> Episodes:
        """Toy tasks: vectors of well separated classes."""
        return blobs(tasks=1, ways=ways, shots=shots, queries=8, shape=(12,))

    def test_it_says_that_it_needs_no_training(self) -> None:
        """There is nothing that training could change; and it does any number of
        classes, which nobody knows before the task."""
        assert not self.algorithm.needs_training, "a head says needs_training = False"
        assert self.algorithm.any_ways, "a head says any_ways = True"
        params = sorted(self._ready(3)[1].params)
        assert not params, (
            f"init gives the meta-parameters {', '.join(params)}, which nobody would "
            "train: a head has none"
        )

    def test_it_tells_separated_classes_apart(self) -> None:
        """Of two, three and seven, at one shot and at five, by (m, ways) logits."""
        for ways in (2, 3, 7):
            for shots in (1, 5):
                episodes = self.episodes(ways, shots)
                outputs = self._outputs(episodes)
                shape, wanted = tuple(outputs.shape), (8 * ways, ways)
                assert shape == wanted, (
                    f"predict gives {shape} for {8 * ways} inputs of {ways} classes: "
                    f"(m, ways) is {wanted}"
                )
                _require_right(outputs, episodes, f"{ways} ways, {shots} shots")

    def test_it_takes_classes_of_unequal_numbers(self) -> None:
        """One example of the second class, three of the others."""
        episodes = self.episodes()
        support, _ = _task(episodes)
        kept = [0, 1, 2, 5, 6, 7, 8]
        fewer = Samples(support.inputs[kept], support.targets[kept])
        _require_right(self._of(fewer, episodes), episodes, "3, 1 and 3 shots")

    def test_the_order_of_examples_does_not_matter(self) -> None:
        """Beyond rounding and where a solver stops."""
        episodes = self.episodes()
        support, _ = _task(episodes)
        backwards = Samples(*(tensor.flip(0) for tensor in support))
        torch.testing.assert_close(
            self._of(backwards, episodes).softmax(-1),
            self._of(support, episodes).softmax(-1),
            rtol=0,
            atol=1e-3,
            msg=saying(
                "adapt learns something else from the same examples in another order: "
                "go by their targets, not by their places"
            ),
        )

    def test_a_query_is_on_its_own(self) -> None:
        """It is predicted alone as among others."""
        episodes = self.episodes()
        network, meta = self._ready(3)
        support, queries = _task(episodes)
        adapted = self.algorithm.adapt(network, meta, support, 3)
        whole = self.algorithm.predict(network, meta, adapted, queries.inputs)
        alone = self.algorithm.predict(network, meta, adapted, queries.inputs[:1])
        torch.testing.assert_close(
            alone,
            whole[:1],
            msg=saying("predict gives a query another output when it is alone"),
        )

    def test_nothing_is_mutated_and_the_same_call_gives_the_same(self) -> None:
        """Neither inputs nor targets; to the bit."""
        episodes = self.episodes()
        before = [tensor.clone() for tensor in (*episodes.support, *episodes.query)]
        assert torch.equal(self._outputs(episodes), self._outputs(episodes)), (
            "adapt and predict give another output the second time: nothing may be "
            "kept, and nothing drawn at random"
        )
        after = (*episodes.support, *episodes.query)
        for tensor, copy in zip(after, before, strict=True):
            assert torch.equal(tensor, copy), (
                "adapt or predict changes inputs or targets in place"
            )

    def test_what_it_learns_is_tensors_of_its_inputs_type(self) -> None:
        """They are written to a file."""
        adapted = self._adapted(self.episodes())
        assert adapted, "adapt returns nothing: predict has to know what was learned"
        for name, value in adapted.items():
            assert isinstance(value, Tensor), (
                f"adapt returns {name}, a {type(value).__name__}: what goes into a "
                "file is a tensor"
            )

    def _ready(self, ways: int) -> tuple[nn.Module, Meta]:
        problem = Problem("classification", (12,), ways)
        self.algorithm.check(problem, problem)
        network = self.algorithm.build(_Vectors(), problem)
        return network, self.algorithm.init(network)

    def _adapted(self, episodes: Episodes) -> Params:
        support, _ = _task(episodes)
        ways = episodes.tasks[0].ways
        return self.algorithm.adapt(*self._ready(ways), support, ways)

    def _outputs(self, episodes: Episodes) -> Tensor:
        return self._of(_task(episodes)[0], episodes)

    def _of(self, support: Samples, episodes: Episodes) -> Tensor:
        ways = episodes.tasks[0].ways
        network, meta = self._ready(ways)
        adapted = self.algorithm.adapt(network, meta, support, ways)
        queries = episodes.query.inputs[0]
        return self.algorithm.predict(network, meta, adapted, queries)


def _require_right(outputs: Tensor, episodes: Episodes, where: str) -> None:
    """Nearly all queries of well separated classes."""
    right = (outputs.argmax(-1) == episodes.query.targets[0]).double().mean()
    assert right > 0.95, (
        f"{where}: {right:.2f} of the queries of well separated classes are right, and "
        "0.95 is the least: see adapt and predict"
    )


def _task(episodes: Episodes) -> tuple[Samples, Samples]:
    """Support and queries of the one task."""
    support, query = (
        Samples(inputs[0], targets[0])
        for inputs, targets in (episodes.support, episodes.query)
    )
    return support, query
