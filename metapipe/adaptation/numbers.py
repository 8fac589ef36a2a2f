"""What comes out of a model is numbers, or an error."""

from __future__ import annotations

from torch import Tensor

from ..errors import DataError


class NoNumberError(DataError):
    """Of some inputs no number comes out."""

    def __init__(self, places: list[int], count: int) -> None:
        """places: which of the inputs; count: how many there were."""
        self.places = places
        which = "all" if len(places) == count else f"{len(places)} of {count}"
        super().__init__(
            f"no number comes out for {which} inputs, the first of them the "
            f"{places[0] + 1}.: they are too far from what the model has learned, or "
            "adapting it diverged"
        )


def require_numbers(outputs: Tensor) -> Tensor:
    """The outputs (n, k), if all of them are numbers. Raises NoNumberError."""
    finite = outputs.isfinite().flatten(1).all(1)
    if not finite.all():
        raise NoNumberError((~finite).nonzero().flatten().tolist(), len(outputs))
    return outputs
