"""Several learners of one training as one: the mean of what they predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

import torch
from torch import Tensor, nn

from ..algorithm import Algorithm, Meta, Predict, Step, TaskMap
from ..episode import Episodes, Metrics, Params, Samples
from ..errors import UnsupportedError
from ..numerics.functional import within
from ..numerics.task_map import LocalTaskMap
from .evaluation import figures
from .learner import Learner


class Ensemble(Algorithm):
    """A method with several sets of meta-parameters, each of which adapts by itself;
    outputs are the mean of theirs (Antoniou et al. 2019, section 5)."""

    member: Algorithm
    size: int

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """What each of them learns, by `PLACE.NAME`."""
        return _joined(
            [
                self.member.adapt(network, each, support, ways)
                for each in self._metas(meta)
            ]
        )

    def unadapted(self, network: nn.Module, meta: Meta) -> Params | None:
        """What each of them has before it; none if one has none."""
        found = [self.member.unadapted(network, each) for each in self._metas(meta)]
        known = [params for params in found if params is not None]
        return _joined(known) if len(known) == len(found) else None

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """The mean of their outputs: (m, *shape) -> (m, ways) or (m, outputs)."""
        outputs = [
            self.member.predict(network, each, within(adapted, str(place)), inputs)
            for place, each in enumerate(self._metas(meta))
        ]
        return torch.stack(outputs).mean(0)

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """There is none: its members were trained one by one."""
        raise UnsupportedError("an ensemble is not trained")

    def judge(
        self,
        network: nn.Module,
        meta: Meta,
        support: Samples,
        query: Samples,
        predict: Predict,
    ) -> Metrics | None:
        """None. Raises UnsupportedError for a method that is judged in a way of its
        own, in which outputs have no mean."""
        first = self._metas(meta)[0]
        if self.member.judge(network, first, support, query, _refuse) is not None:
            _refuse({})
        return None

    def _metas(self, meta: Meta) -> list[Meta]:
        places = [str(place) for place in range(self.size)]
        return [Meta(within(meta.params, p), within(meta.state, p)) for p in places]


def ensemble(learner: Learner, metas: Sequence[Meta]) -> tuple[Learner, Meta]:
    """The mean of a learner with each of `metas`; itself with the only one."""
    if len(metas) == 1:
        return learner, metas[0]
    member, size = learner.algorithm, len(metas)
    algorithm = Ensemble(member=member, size=size, statistics=member.statistics)
    params = _joined([meta.params for meta in metas])
    state = _joined([meta.state for meta in metas])
    return replace(learner, algorithm=algorithm), Meta(params, state)


def require_mean(learner: Learner, meta: Meta, episodes: Episodes) -> None:
    """Raise UnsupportedError for a method that is judged by no mean of outputs."""
    pair = ensemble(learner, [meta, meta])
    with torch.no_grad(), learner.computing():
        figures(*pair, episodes, "together", LocalTaskMap("loop"))


def _joined(members: Sequence[Params]) -> Params:
    return {
        f"{place}.{name}": tensor
        for place, params in enumerate(members)
        for name, tensor in params.items()
    }


def _refuse(adapted: Params) -> NoReturn:
    raise UnsupportedError(
        "evaluation.ensemble: this method, by these settings, is judged otherwise than "
        "by what it predicts after adapting, and that has no mean: leave it out"
    )
