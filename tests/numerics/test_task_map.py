"""However tasks are mapped, the numbers are the same."""

import threading
import time

import pytest
import torch

from metapipe import Episodes, Meta, Metrics, Samples, Task, UnsupportedError
from metapipe.numerics.meter import Meter
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.numerics.tuning import candidates, fastest
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.models.conv4 import Conv4

TASKS = 5
MAPS = [
    LocalTaskMap("vmap"),
    LocalTaskMap("chunks", 2),
    LocalTaskMap("chunks", 9),
    LocalTaskMap("threads", 2),
    LocalTaskMap("chunked-threads", 2, 2),
    LocalTaskMap("chunked-threads", 2, 9),
]


@pytest.fixture(scope="module")
def episodes() -> Episodes:
    generator = torch.Generator().manual_seed(0)

    def samples(each: int) -> Samples:
        images = torch.rand(
            TASKS, 3 * each, 1, 12, 12, generator=generator, dtype=torch.float64
        )
        return Samples(images, torch.arange(3).repeat_interleave(each).repeat(TASKS, 1))

    recipes = tuple(Task("none", "train", 0, i, 3, 2, 3) for i in range(TASKS))
    return Episodes(recipes, samples(2), samples(3))


@pytest.mark.parametrize("task_map", MAPS, ids=str)
@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("pooling", ["stride", "max"])
def test_meta_gradient_does_not_depend_on_the_mapping(
    episodes, task_map, first_order, pooling
) -> None:
    torch.manual_seed(1)
    model = Conv4(width=4, blocks=2, pooling=pooling, scale=True)
    network = model.build((1, 12, 12), 3, "batch").double()
    meta = Meta.of(network)
    maml = MAML(inner_steps=2, first_order=first_order)
    expected = maml.meta_gradient(network, meta, episodes, LocalTaskMap("loop"))
    step = maml.meta_gradient(network, meta, episodes, task_map)
    for name, grad in expected.gradients.items():
        torch.testing.assert_close(step.gradients[name], grad, rtol=1e-10, atol=1e-10)
    for name, values in expected.metrics.items():
        assert values.shape == (TASKS,)
        torch.testing.assert_close(step.metrics[name], values, rtol=0, atol=1e-10)


@pytest.mark.parametrize("task_map", MAPS, ids=str)
def test_a_mapped_function_keeps_the_order_of_tasks(episodes, task_map) -> None:
    def first_pixel(support: Samples, query: Samples) -> Metrics:
        return {"support": support.inputs[0, 0, 0, 0], "query": query.inputs.sum()}

    figures = task_map(first_pixel, episodes)
    assert torch.equal(figures["support"], episodes.support.inputs[:, 0, 0, 0, 0])
    torch.testing.assert_close(
        figures["query"], episodes.query.inputs.flatten(1).sum(1)
    )


@pytest.mark.parametrize("task_map", [LocalTaskMap("loop"), *MAPS], ids=str)
def test_a_map_survives_being_written_down(task_map) -> None:
    assert str(LocalTaskMap.parse(str(task_map))) == str(task_map)


def test_threads_keep_the_mode_of_their_caller(episodes) -> None:
    def graph(support: Samples, query: Samples) -> Metrics:
        weight = torch.ones((), requires_grad=True)
        return {"graph": torch.tensor(float((weight * 2).requires_grad))}

    threads = LocalTaskMap("threads", 2)
    assert threads(graph, episodes)["graph"].tolist() == [1.0] * TASKS
    with torch.no_grad():
        assert threads(graph, episodes)["graph"].tolist() == [0.0] * TASKS


def test_threads_of_chunks_hold_no_more_tasks_than_theirs(episodes) -> None:
    """Two threads of chunks of two: groups of 2, 2 and 1 of the five, two at a time."""
    seen: list[int] = []

    def count(support: Samples, query: Samples) -> Metrics:
        seen.append(threading.get_ident())
        return {"pixel": support.inputs[0, 0, 0, 0]}

    chunks = LocalTaskMap("chunked-threads", 2, 2)
    chunks(count, episodes)
    assert len(seen) == 3
    assert threading.get_ident() not in seen
    assert [chunks.alive(tasks) for tasks in (3, 4, 5)] == [3, 4, 4]


def test_the_fastest_able_map_is_chosen() -> None:
    waits = {"loop": 0.02, "vmap": 0.001, "chunks": 0.0}

    def work(task_map: LocalTaskMap) -> None:
        if task_map.mode == "chunks":
            raise RuntimeError("no batching rule")
        time.sleep(waits[task_map.mode])

    maps = [LocalTaskMap("loop"), LocalTaskMap("vmap"), LocalTaskMap("chunks", 4)]
    assert fastest(maps, work) == LocalTaskMap("vmap")


class SmallMeter(Meter):
    """Of a device with 800 MB left, on which all that is begun takes until it is waited
    for: 5 ms a task by itself, and little in one call."""

    calls_first = 2

    def __init__(self) -> None:
        self.tried: list[LocalTaskMap] = []
        self.clears, self.pending = 0, 0.0

    def work(self, task_map: LocalTaskMap) -> None:
        if task_map.mode == "chunks":
            raise torch.cuda.OutOfMemoryError("it was a little more")
        self.tried.append(task_map)
        self.pending = 0.02 if task_map.mode == "loop" else 0.001

    def wait(self) -> None:
        time.sleep(self.pending)
        self.pending = 0.0

    def begin(self) -> int:
        return 10**9

    def most(self) -> int:
        return 10**9 + 64_000_000

    def left(self) -> int:
        return 800_000_000

    def clear(self) -> None:
        self.clears += 1


def test_what_does_not_fit_in_memory_is_not_tried() -> None:
    """A task takes 64 MB; 32 tasks at once would need more than the 800 MB left."""
    meter, maps = SmallMeter(), candidates("auto", 8, 32, "cuda")
    fastest(maps, meter.work, rounds=0, tasks=32, meter=meter)
    assert meter.tried == 2 * [LocalTaskMap("loop")]
    assert meter.clears == 1, "what was begun by chunks of 8 is given back"


def test_a_device_that_works_on_is_waited_for() -> None:
    meter, maps = SmallMeter(), candidates("auto", 8, 8, "cuda")
    assert fastest(maps, meter.work, tasks=8, meter=meter) == LocalTaskMap("vmap")
    assert len(meter.tried) == 4, "a loop that takes 20 times as long is tried no more"


def test_auto_offers_only_what_can_help() -> None:
    modes = {m.mode for m in candidates("auto", 8, 8, "cuda")}
    assert modes == {"loop", "vmap"}
    assert candidates("chunks", 8, 32, "cpu") == [LocalTaskMap("chunks", 8)]


@pytest.mark.parametrize(
    ("tasks", "names"),
    [
        (2, "loop vmap threads:2"),
        (8, "loop vmap threads:2 chunked-threads:2x8"),
        (32, "loop vmap chunks:8 threads:2 chunked-threads:2x8"),
    ],
)
def test_auto_offers_threads_where_there_are_cores(monkeypatch, tasks, names) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert " ".join(map(str, candidates("auto", 8, tasks, "cpu"))) == names


@pytest.mark.parametrize("task_map", [*MAPS, LocalTaskMap("loop")], ids=str)
def test_a_map_is_read_back_from_its_name(task_map) -> None:
    assert LocalTaskMap.parse(str(task_map)) == task_map


@pytest.mark.parametrize(
    "text",
    [
        *("nonsense:3", "chunks", "chunks:0", "loop:2", "", ":", "threads:2x8"),
        *("chunked-threads:2", "chunked-threads:2x0", "chunked-threads:2x8x1"),
    ],
)
def test_another_name_is_refused(text) -> None:
    with pytest.raises(UnsupportedError, match="is no way to map tasks"):
        LocalTaskMap.parse(text)
