"""Memory of a GPU: the data that lie there, what task maps need, and too little of it.

`pytest -m cuda` runs these, and they skip where there is no GPU.
"""

import pytest
import torch
from gpus import Training
from image_sources import SOURCES, assert_same, recipes

from metapipe.errors import OutOfMemoryError
from metapipe.numerics import LocalTaskMap
from metapipe.numerics.meter import GPUMeter
from metapipe.numerics.tuning import candidates, fastest
from metapipe.training.delivery import Delivery, RoadToGPU

pytestmark = pytest.mark.cuda
LARGE = {
    "model": {"width": 32, "blocks": 2},
    "task": {"ways": 3, "queries": 15},
    "training": {"tasks": 16, "iterations": 1, "validate_every": 0, "mapping": "loop"},
}


class Narrow(RoadToGPU):
    """Nothing is kept at its end."""

    def kept(self, source):
        return source


@pytest.mark.parametrize("name", SOURCES)
def test_items_on_the_gpu_and_sent_ones_make_the_same_episodes(name) -> None:
    source = SOURCES[name]
    there, sent = Delivery(source, RoadToGPU("cuda")), Delivery(source, Narrow("cuda"))
    for start in (0, 4, 8):
        for delivery in (there, sent):
            delivery.expect([recipes(start), recipes(start + 4)])
        one, other = there.draw(recipes(start)), sent.draw(recipes(start))
        assert all(tensor.is_cuda for tensor in (*one.support, *one.query))
        assert_same(one, other)
        assert_same(one.to("cpu"), source.draw(recipes(start)))


def test_what_is_sent_beside_work_arrives_whole() -> None:
    """The device is busy with the last episodes when the next are sent, and their
    memory is used again only when nobody needs it."""
    source = SOURCES["colours"]
    delivery = Delivery(source, Narrow("cuda"))
    matrix = torch.randn(4096, 4096, device="cuda")
    sums = []
    for number in range(12):
        episodes = delivery.draw(recipes(4 * number))
        delivery.expect([recipes(4 * number + 4)])
        for _ in range(3):
            matrix = matrix @ matrix
            matrix = matrix / matrix.norm()
        sums.append(episodes.query.inputs.double().sum())
        del episodes
    wanted = [
        source.draw(recipes(4 * number)).query.inputs.double().sum()
        for number in range(12)
    ]
    assert torch.stack(sums).tolist() == pytest.approx(torch.stack(wanted).tolist())


def peak(mapping: str) -> int:
    training = Training("maml", "cuda", mapping, LARGE)
    (episodes,) = training.draw(0)
    training.step(mapping)
    meter = GPUMeter("cuda")
    before = meter.begin()
    training.step(mapping)
    meter.wait()
    del episodes
    return meter.most() - before


def test_a_loop_needs_less_memory_than_chunks_and_those_less_than_vmap() -> None:
    loop, chunks, vmap = (peak(mapping) for mapping in ("loop", "chunks:4", "vmap"))
    assert loop < chunks < vmap
    assert vmap > 2 * loop


def test_the_fastest_map_is_found_where_one_needs_too_much() -> None:
    """Chunks ask for more than the GPU has, and all of that is given back."""
    training = Training("maml", "cuda", more=LARGE)
    (episodes,) = training.draw(0)
    _, total = torch.cuda.mem_get_info()

    def work(task_map: LocalTaskMap) -> None:
        if task_map.mode == "chunks":
            held = [torch.empty(total // 3, dtype=torch.uint8, device="cuda")]
            held.append(torch.empty(total, dtype=torch.uint8, device="cuda"))
        training.step(str(task_map))

    maps = candidates("auto", 4, 16, "cuda")
    assert [m.mode for m in maps] == ["loop", "vmap", "chunks"]
    found = fastest(maps, work, tasks=16, meter=GPUMeter("cuda"))
    assert found.mode in ("loop", "vmap")
    assert torch.cuda.memory_reserved() < total // 3
    assert len(episodes.tasks) == 16


def test_a_device_is_waited_for() -> None:
    matrix = torch.randn(8192, 8192, device="cuda")
    meter = GPUMeter("cuda")

    def work() -> None:
        for _ in range(4):
            torch.mm(matrix, matrix)

    meter.seconds(work)
    least = 4 * 2 * 8192**3 / 1e15  # a peta-operation a second is more than there is
    assert meter.seconds(work) > least


def test_too_little_memory_is_told_in_a_line() -> None:
    training = Training("maml", "cuda")
    _, total = torch.cuda.mem_get_info()
    said = "cuda has too little memory: of"
    computing = training.learner.computing()
    with pytest.raises(OutOfMemoryError, match=said) as told, computing:
        torch.empty(2 * total, dtype=torch.uint8, device="cuda")
    assert "--shards" in str(told.value)
