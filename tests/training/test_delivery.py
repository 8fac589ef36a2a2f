"""Episodes that are sent ahead, and cut out of items on a device, are the same."""

import threading
from dataclasses import replace

import pytest
from image_sources import SOURCES, assert_same, recipes

from metapipe import Episodes, Source
from metapipe.data import ImageClass
from metapipe.training.delivery import Delivery, delivered


@pytest.mark.parametrize("support", [None, 6])
@pytest.mark.parametrize("name", SOURCES)
def test_items_on_a_device_give_the_same_episodes(name, support) -> None:
    source = SOURCES[name]
    held = source.on("cpu")
    assert held is not source
    assert_same(held.draw(recipes(0, support)), source.draw(recipes(0, support)))
    meta = source.on("meta").draw(recipes())
    assert {samples.inputs.device.type for samples in meta[1:3]} == {"meta"}
    assert meta.query.inputs.shape == source.draw(recipes()).query.inputs.shape
    assert held.facts == source.facts


def test_classes_that_are_joined_are_all_there() -> None:
    one = replace(SOURCES["grey"], members=(ImageClass(0), ImageClass(1)))
    other = replace(SOURCES["grey"], members=(ImageClass(2), ImageClass(3)))
    joined = one.on("cpu").joined(other)
    assert_same(joined.draw(recipes()), one.joined(other).draw(recipes()))


class Road:
    """To nowhere: who draws what, and when, is written down."""

    def __init__(self) -> None:
        self.drawn, self.threads = list[int](), set[str]()

    def kept(self, source: Source) -> Source:
        return source

    def sent(self, draw) -> Episodes:
        episodes = draw()
        self.drawn.append(episodes.tasks[0].index)
        self.threads.add(threading.current_thread().name)
        return episodes

    def received(self, parcel) -> Episodes:
        return parcel


def test_what_is_announced_is_drawn_once_and_beforehand() -> None:
    source, road = SOURCES["grey"], Road()
    delivery = Delivery(source, road)
    assert_same(delivery.draw(recipes(0)), source.draw(recipes(0)))
    delivery.expect([recipes(4), recipes(8)])
    delivery.expect([recipes(4), recipes(8)])
    for start in (8, 4):  # nor does their order matter
        assert_same(delivery.draw(recipes(start)), source.draw(recipes(start)))
    assert sorted(road.drawn) == [0, 4, 8]
    delivery.expect([recipes(12)])
    delivery.expect([recipes(16)])
    assert_same(delivery.draw(recipes(12)), source.draw(recipes(12)))
    assert_same(delivery.draw(recipes(16)), source.draw(recipes(16)))
    assert road.drawn.count(16) == 1
    assert road.threads == {"episodes_0"}
    assert delivery.facts is source.facts


def test_what_cannot_be_drawn_is_told_to_who_asks() -> None:
    delivery = Delivery(SOURCES["grey"], Road())
    impossible = [replace(task, shots=90) for task in recipes()]
    delivery.expect([impossible])
    with pytest.raises(ValueError, match="cannot choose 93 of 7"):
        delivery.draw(impossible)
    assert delivery.draw(recipes()).tasks == tuple(recipes())


def test_on_the_cpu_nothing_is_sent() -> None:
    assert delivered(SOURCES["grey"], "cpu") is SOURCES["grey"]
