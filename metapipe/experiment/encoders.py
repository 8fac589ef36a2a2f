"""Encoders by name, each loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ..encoder import Encoder


class Encoders(Mapping[str, type[Encoder]]):
    """What reads the record of an encoder."""

    def __init__(
        self,
        find: Callable[[str], type[Encoder] | None],
        names: Callable[[], Sequence[str]],
    ) -> None:
        self._find, self._names = find, names

    def __getitem__(self, name: str) -> type[Encoder]:
        """Raises KeyError."""
        found = self._find(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())
