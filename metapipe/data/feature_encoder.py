"""Pictures as vectors that a frozen network makes of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import torch
from pydantic import Field
from torch import Tensor

from ..encoder import Encoder
from ..errors import DataError
from .image_encoder import ImageEncoder

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
        """SHA-256 of weights, settings and version of the computation, as they are now.

        Raises DataError, in a line, if what it needs is not here.
        """

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
        """Whatever an image encoder takes -> (n, d)."""
        return self._vectors(self.image.encode([item]) for item in items)

    def examples(self, count: int, seed: int = 0) -> Tensor:
        """(count, d): of pictures of noise."""
        return self._vectors(torch.split(self.image.examples(count, seed), 1))

    def _vectors(self, pictures: Iterable[Tensor]) -> Tensor:
        network = self.network()
        with torch.inference_mode():
            vectors = [network(picture) for picture in pictures]
        if not vectors:
            return torch.empty(0, self.width)
        return torch.cat(vectors).clone()  # out of inference mode
