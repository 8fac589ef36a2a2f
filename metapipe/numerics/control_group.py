"""What a container may still take of its machine's memory: Linux kills a process that
takes more, however much the machine has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path("/")


class _Version(NamedTuple):
    """Where one of control groups has what is wanted: the name of the controller in
    `/proc/self/cgroup`, the folder of the groups, and in each of them the limit, what
    is in use, and how much of that could be dropped."""

    controller: str
    folder: str
    limit: str
    used: str
    droppable: str


VERSIONS = (
    _Version("", "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    _Version(
        *("memory", "sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        *("memory.usage_in_bytes", "total_inactive_file"),
    ),
)


def left_in_group(root: Path = ROOT) -> int | None:
    """Bytes that this process's control group, and all that it is in, still let it
    have; None if none of them sets a limit."""
    left = [
        bytes_left
        for version in VERSIONS
        for group in _groups(version, root)
        if (bytes_left := _left(version, group)) is not None
    ]
    return min(left, default=None)


def _groups(version: _Version, root: Path) -> Iterator[Path]:
    """Folders of the process's group and of those that it is in; a container may see
    its own as the outermost."""
    top, own = root / version.folder, ""
    with suppress(OSError, ValueError):  # no Linux, or another text
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, place = line.split(":", 2)
            if version.controller in controllers.split(","):
                own = place.strip("/")
    group = top / own
    yield from (group, *group.parents[: len(Path(own).parts)])


def _left(version: _Version, group: Path) -> int | None:
    try:
        limit, used = (
            int((group / name).read_text()) for name in (version.limit, version.used)
        )
        known = (group / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):  # no such group, or the limit is "max"
        return None
    stat = dict(line.split(" ", 1) for line in known if " " in line)
    return max(0, limit - used + int(stat.get(version.droppable, 0)))
