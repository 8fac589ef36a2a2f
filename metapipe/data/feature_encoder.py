"""Pictures as vectors that a frozen network makes of them."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import Field
from torch import Tensor

from ..encoder import Encoder
from ..errors import DataError
from .file import read_file
from .image_encoder import ImageEncoder, unit_floats
from .vector_cache import Vector, VectorCache

Features = Callable[[Tensor], Tensor]
"""Pictures (n, C, H, W) in [0, 1] -> vectors (n, d), each for itself."""


class FeatureEncoder(Encoder):
    """A picture as the vector (d,) that a frozen network makes of it.

    For backbones: what is left to a subclass is the network, and what it is known by. A
    picture goes through it alone, so that its vector has the same bits in any batch.
    """

    image: ImageEncoder
    """How a picture becomes what the network takes."""

    width: int = Field(ge=1)
    """Length of a vector."""

    sha256: str
    """Of all that the vectors depend on."""

    @classmethod
    def of(cls, **fields: Any) -> Self:
        """The encoder with these fields, and its hash."""
        fresh = cls(**fields, sha256="")
        return fresh.model_copy(update={"sha256": fresh.digest()})

    @abstractmethod
    def digest(self) -> str:
        """SHA-256 of weights, settings and version of the computation, as they are now:
        `hash_of` what is not among the fields.

        Raises DataError, in a line, if what it needs is not here.
        """

    def hash_of(self, *parts: object, places: Collection[str] = ()) -> str:
        """SHA-256 of all fields but those that are `places`, where something lies, and
        of `parts`: a hash of the weights, a version, constants."""
        fields = self.model_dump_json(exclude={"sha256", *places})
        made_by = " ".join(map(str, (fields, *parts)))
        return hashlib.sha256(made_by.encode()).hexdigest()

    @abstractmethod
    def network(self) -> Features:
        """The network in evaluation mode, on the processor; asked for often, so kept.

        Where it is an `nn.Module`, `metapipe export` writes it into the file, before
        the head.
        """

    @property
    def shape(self) -> tuple[int, ...]:
        """(width,)."""
        return (self.width,)

    def check(self) -> None:
        """Raise DataError if vectors are made otherwise now."""
        if (now := self.digest()) != self.sha256:
            name = getattr(self, "type", type(self).__name__)
            raise DataError(
                f"made with {name} of hash {self.sha256[:12]}, and this one is "
                f"{now[:12]}: bring back what it was made with, or adapt again"
            )

    def encode(self, items: Sequence[Any]) -> Tensor:
        """Whatever an image encoder takes -> (n, d). The cache keeps the vectors."""
        vectors = torch.empty(len(items), self.width)
        with VectorCache(self.sha256, self.width) as cache:
            for row, item in zip(vectors, items, strict=True):
                key, make = self._made_from(item)
                row.copy_(torch.from_numpy(cache.get(key, make)))
        return vectors

    def examples(self, count: int, seed: int = 0) -> Tensor:
        """(count, d): of pictures of noise."""
        vectors = torch.empty(count, self.width)
        pictures = torch.split(self.image.examples(count, seed), 1)
        for row, picture in zip(vectors, pictures, strict=True):
            row.copy_(torch.from_numpy(self._vector(picture)))
        return vectors

    def _made_from(self, item: Any) -> tuple[str, Callable[[], Vector]]:
        """A key of what is in a file, or of the pixels; and what makes the vector."""
        name = str(item) if isinstance(item, str | Path) else None
        content = item if name is None else _read(Path(name))
        if isinstance(content, bytes):
            make = partial(self._vector_of_file, content, name)
            return hashlib.sha256(content).hexdigest(), make
        pixels = self.image.pixels(content)
        key = hashlib.sha256(pixels.tobytes()).hexdigest()
        return f"pixels-{key}", partial(self._vector, unit_floats(pixels[None]))

    def _vector_of_file(self, content: bytes, name: str | None) -> Vector:
        return self._vector(unit_floats(self.image.pixels(content, name)[None]))

    def _vector(self, picture: Tensor) -> Vector:
        with torch.inference_mode(), _one_thread():
            vector: Vector = self.network()(picture)[0].float().numpy()
        return vector


@contextmanager
def _one_thread() -> Iterator[None]:
    """For work of which there is too little to share: several threads wait for each
    other where others are at work; and bits would depend on how many there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _read(path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot read {path}: {reason}") from error
