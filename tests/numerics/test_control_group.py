"""The memory that a container may still take, read from folders as Linux has them."""

from pathlib import Path

import pytest

from metapipe.numerics import memory
from metapipe.numerics.control_group import left_in_group
from metapipe.numerics.memory import available_memory

MIB = 2**20
OF_2 = ("memory.max", "memory.current", "inactive_file")
OF_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def group(folder: Path, names, limit: object, used: int, droppable: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{names[2]} {droppable}\n")


def told(root: Path, text: str) -> None:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(text)


def test_where_nothing_limits_nothing_is_told(tmp_path) -> None:
    assert left_in_group(tmp_path) is None
    told(tmp_path, "0::/user.slice\n")
    group(tmp_path / "sys/fs/cgroup/user.slice", OF_2, "max", 50 * MIB)
    assert left_in_group(tmp_path) is None


def test_a_container_sees_its_own_group_as_the_outermost(tmp_path) -> None:
    """Cached files that nobody uses can be dropped."""
    told(tmp_path, "0::/\n")
    group(tmp_path / "sys/fs/cgroup", OF_2, 100 * MIB, 60 * MIB, 10 * MIB)
    assert left_in_group(tmp_path) == 50 * MIB


@pytest.mark.parametrize(("inner", "outer", "left"), [(30, 70, 20), (90, 70, 40)])
def test_the_tightest_of_groups_in_each_other_counts(
    tmp_path, inner, outer, left
) -> None:
    told(tmp_path, "0::/pods/ours\n")
    pods = tmp_path / "sys/fs/cgroup/pods"
    group(pods / "ours", OF_2, inner * MIB, 10 * MIB)
    group(pods, OF_2, outer * MIB, 30 * MIB)
    assert left_in_group(tmp_path) == left * MIB


@pytest.mark.parametrize("place", ["", "docker/0123"])
def test_the_older_version_too(tmp_path, place) -> None:
    """Of the machine, and of a container, which does not see that path."""
    told(tmp_path, "5:cpu,cpuacct:/other\n4:memory:/docker/0123\n0::/\n")
    top = tmp_path / "sys/fs/cgroup/memory"
    group(top / place, OF_1, 64 * MIB, 40 * MIB, 8 * MIB)
    assert left_in_group(tmp_path) == 32 * MIB


def test_more_than_the_limit_leaves_nothing(tmp_path) -> None:
    group(tmp_path / "sys/fs/cgroup", OF_2, 10 * MIB, 12 * MIB)
    assert left_in_group(tmp_path) == 0


@pytest.mark.parametrize("text", ["", "nonsense\n", "0::/\nx\n"])
def test_what_cannot_be_read_is_left_out(tmp_path, text) -> None:
    told(tmp_path, text)
    group(tmp_path / "sys/fs/cgroup", OF_2, "many", 12 * MIB)
    assert left_in_group(tmp_path) is None


def test_the_smaller_of_machine_and_container_is_available(monkeypatch) -> None:
    monkeypatch.setattr(memory, "left_in_group", lambda: 3 * MIB)
    assert available_memory() == 3 * MIB
    monkeypatch.setattr(memory, "left_in_group", lambda: None)
    assert available_memory() > 3 * MIB
