"""What an encoder is: how a thing of the user's becomes an input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from torch import Tensor


Form = Literal["file", "row"]


class Encoder(BaseModel, ABC):
    """How a thing of the user's (a file, a text, a row) becomes an input.

    A frozen record, JSON-able: it is kept with a run and with an adapted model, which
    need nothing else of the data set to take new items. A field `type` has the name
    that its class is registered by.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    form: ClassVar[Form] = "file"
    """Whether an item is the content of a file, whose folder is its class, or a row of
    a table that has a column for the class, called by the field `label`."""

    def check(self) -> None:
        """Raise DataError if something it needs is not here, or is another than it was
        made with; asked once, before anything is encoded."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""

    @abstractmethod
    def encode(self, items: Sequence[Any]) -> Tensor:
        """Items as inputs (n, *shape), just as the data set has them.

        Raises DataError for an item that cannot be read.
        """

    def weights(self) -> Mapping[str, Tensor] | None:
        """What encoding needs beside this record, as tensors by name: with them, a file
        needs nothing else. None if a file cannot carry it, as here if the record has a
        hash of something. Raises DataError if it is not here.
        """
        return None if "sha256" in type(self).model_fields else {}

    def with_weights(self, weights: Mapping[str, Tensor]) -> Self:
        """This encoder with the weights that a file carried, for those installed, which
        need not be there. Raises DataError if they are not those of its hash."""
        return self

    def examples(self, count: int, seed: int = 0) -> Tensor:
        """(count, *shape): inputs such as `encode` gives, to check an exported model
        with.

        Type, range and what is nought have to be those of `encode`: on other inputs a
        wrong model may agree with the right one. Here: standard normal numbers.
        """
        import torch

        generator = torch.Generator().manual_seed(seed)
        return torch.randn(count, *self.shape, generator=generator)


RegisterEncoder = Callable[[str, type[Encoder]], None]
"""`register(name, cls)`: what the hook for encoders is handed. They are no plugins, as
they have no settings of their own."""
