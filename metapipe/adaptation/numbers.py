"""What comes out of a model is numbers, or an error."""

from __future__ import annotations

from torch import Tensor

from ..errors import DataError


class NoNumberError(DataError):
    """Of some inputs no number comes out."""

    def __init__(self, places: list[int], count: int) -> None:
        """places: which of the inputs; count: how many there were."""
        self.places = places
        first = f", first for the {places[0] + 1}. of them" if count > 1 else ""
        super().__init__(
            f"no number comes out for {len(places)} of {count} inputs{first}: they are "
            "too far from what was learned, or adapting diverged"
        )


def require_numbers(outputs: Tensor) -> Tensor:
    """The outputs (n, k), if all of them are numbers. Raises NoNumberError."""
    finite = outputs.isfinite().flatten(1).all(1)
    if not finite.all():
        raise NoNumberError((~finite).nonzero().flatten().tolist(), len(outputs))
    return outputs
