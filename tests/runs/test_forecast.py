"""What a training is said to take, beside what is alive while it is done."""

from dataclasses import replace

import pytest
from gpus import experiment
from measured import Living

from metapipe.numerics import LocalTaskMap
from metapipe.numerics.meter import Meter
from metapipe.runs import forecast as forecasts
from metapipe.runs.preparation import prepare
from metapipe.runs.recipes import draw_meta_batch
from metapipe.training.execution import meta_step

TASKS = 10


class Tensors(Meter):
    """Counts tensors alone: the same on every machine."""

    def __init__(self, left=10**12):
        self._left, self._open = left, None

    def begin(self):
        self.most()
        self._open = Living()
        self._open.__enter__()
        return 0

    def most(self):
        living, self._open = self._open, None
        if living is None:
            return 0
        living.__exit__(None, None, None)
        return living.most

    def left(self):
        return self._left


@pytest.fixture
def told(monkeypatch):
    """The forecast of an experiment where so many bytes are left."""
    meters = []

    def tell(prepared, left=10**12):
        meters.append(Tensors(left))
        monkeypatch.setattr(forecasts, "meter_of", lambda device: meters[-1])
        monkeypatch.setattr(forecasts, "TWICE", 1)  # tensors leave no pieces
        monkeypatch.setattr(forecasts, "give_back_freed_memory", lambda: None)
        return forecasts.forecast(prepared)

    yield tell
    for meter in meters:
        meter.most()


def prepared(algorithm, **training):
    more = {
        "task": {"ways": 3, "queries": 6},
        "training": {"tasks": TASKS, "chunk": 4, "mapping": "auto", **training},
        "evaluation": {"episodes": 2},
    }
    if algorithm == "maml":
        more["algorithm"] = {"inner_steps": 2}
    return prepare(experiment(algorithm, "cpu", more))


def most_alive(ready, mapping):
    with Living() as living:
        args = (ready.experiment, ready.learner, ready.meta, ready.sources["train"], 0)
        for episodes in draw_meta_batch(*args):
            meta_step(ready.learner, ready.meta, episodes, mapping)
    return living.most


@pytest.mark.parametrize("ample", [0, 10**9], ids=["tried", "extended"])
@pytest.mark.parametrize("algorithm", ["maml", "protonet"])
def test_it_is_what_many_tasks_take(algorithm, ample, told, monkeypatch):
    monkeypatch.setattr(forecasts, "AMPLE", ample)
    names = ("loop", "vmap", "chunks:4") if algorithm == "maml" else ("loop",)
    ready = prepared(algorithm, mapping="auto" if len(names) > 1 else "loop")
    found = told(ready)
    params = sum(p.nbytes for p in ready.meta.params.values())
    state = sum(p.nbytes for p in ready.meta.state.values())
    assert found.parameters == params + state
    assert 2 * params <= found.optimiser < 2 * params + 1000  # Adam's moments
    needs = {need.mapping: need for need in found.needs}
    assert set(names) <= set(needs)
    for name in names:
        real = most_alive(ready, LocalTaskMap.parse(name))
        near = 1e-3 if name == "vmap" and not ample else 0.1
        assert needs[name].graphs == pytest.approx(real, rel=near), name
        assert needs[name].fits
    assert (found.recomputed is None) == (algorithm == "protonet")
    assert found.advice is None


def test_what_does_not_fit_is_told_what_to_do(told):
    ready = prepared("maml", mapping="vmap", tasks=4)
    vmap, loop = (most_alive(ready, LocalTaskMap(mode)) for mode in ("vmap", "loop"))
    found = told(ready, left=(vmap + loop) // 2)
    assert [need.fits for need in found.needs] == [False]
    assert found.advice == "use --mapping loop"
    one = told(prepared("maml", mapping="loop", tasks=1), left=1000)
    assert one.advice.startswith("use fewer ways or queries")
    between = (one.recomputed + one.task) // 2
    again = told(prepared("maml", mapping="loop", tasks=1), left=between)
    assert again.advice == "use --recompute"


def test_shards_that_fit_are_told(told):
    ready = prepared("protonet", mapping="loop", tasks=4)
    whole = most_alive(ready, LocalTaskMap("loop"))
    assert told(ready, left=round(0.6 * whole)).advice == "use --shards 2"
    settings = ready.experiment.training.model_copy(update={"shards": 2})
    cut = replace(ready.experiment, training=settings)
    parts = most_alive(replace(ready, experiment=cut), LocalTaskMap("loop"))
    assert parts < 0.6 * whole
