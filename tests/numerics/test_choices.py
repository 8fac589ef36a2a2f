"""What was chosen for a kind of work is chosen again."""

import json
import threading
from pathlib import Path

import pytest

from metapipe.numerics.choices import remembered
from metapipe.numerics.task_map import LocalTaskMap

LOOP, VMAP = LocalTaskMap("loop"), LocalTaskMap("vmap")
MAPS = [LOOP, VMAP, LocalTaskMap("chunks", 4)]
WORK = {"algorithm": "maml", "threads": 2, "shape": (1, 8, 8)}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("METAPIPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "choices"


def never() -> LocalTaskMap:
    raise AssertionError("it was known")


def test_the_first_choice_stays(cache: Path) -> None:
    assert remembered(WORK, MAPS, lambda: VMAP) == VMAP
    assert remembered(WORK, MAPS, never) == VMAP
    assert [path.suffix for path in cache.iterdir()] == [".json"], "nothing beside it"


@pytest.mark.parametrize("change", [{"threads": 1}, {"shape": (1, 8, 9)}, {"x": 0}])
def test_other_work_is_chosen_for_anew(change) -> None:
    remembered(WORK, MAPS, lambda: VMAP)
    assert remembered({**WORK, **change}, MAPS, lambda: LOOP) == LOOP
    assert remembered(WORK, MAPS, never) == VMAP


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[" * 60_000,
        b"[" * 10**6,
        b'{"work": {}, "chosen": "vmap"}',
        b'{"chosen": "vmap"}',
        "bogus",
        "threads:64",
        3,
    ],
)
def test_what_is_damaged_or_foreign_is_told_and_replaced(
    cache: Path, caplog, content
) -> None:
    remembered(WORK, MAPS, lambda: LOOP)
    (path,) = cache.iterdir()
    if not isinstance(content, bytes):
        text = json.dumps({**json.loads(path.read_text()), "chosen": content})
        content = text.encode()
    path.write_bytes(content)
    assert remembered(WORK, MAPS, lambda: VMAP) == VMAP
    assert f"{path} is damaged, or of other work" in caplog.text
    assert remembered(WORK, MAPS, never) == VMAP


def test_anything_that_is_told_by_its_text_can_be_chosen() -> None:
    assert remembered(WORK, ["eager", "graph"], lambda: "graph") == "graph"
    assert remembered(WORK, ["eager", "graph"], lambda: "eager") == "graph"


def test_what_can_no_longer_be_is_chosen_anew() -> None:
    remembered(WORK, MAPS, lambda: VMAP)
    assert remembered(WORK, MAPS, lambda: LOOP, lambda m: m != VMAP) == LOOP
    assert remembered(WORK, MAPS, never) == LOOP


def test_a_cache_that_cannot_be_written_is_done_without(cache: Path, caplog) -> None:
    cache.parent.mkdir()
    cache.write_text("in the way")
    assert remembered(WORK, MAPS, lambda: VMAP) == VMAP
    assert "cannot keep what was chosen in" in caplog.text


def test_of_two_who_choose_at_once_both_take_the_same() -> None:
    both = threading.Barrier(2)
    found = []

    def choose(mine: LocalTaskMap) -> LocalTaskMap:
        both.wait(10)  # neither has seen the other's
        return mine

    def train(mine: LocalTaskMap) -> None:
        found.append(remembered(WORK, MAPS, lambda: choose(mine)))

    threads = [threading.Thread(target=train, args=(m,)) for m in (LOOP, VMAP)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert found[0] == found[1]
