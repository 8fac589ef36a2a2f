"""Encoders by the name they are kept under: see `metapipe.algorithm.Encoder`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from ..encoder import Encoder
from ..errors import DataError
from . import image_encoder, row_encoder, sentence_encoder, text_encoders  # noqa: F401  # their encoders


def encoder_from(record: Mapping[str, Any]) -> Encoder:
    """The encoder that a run or an adapted model was kept with.

    Plugins may have encoders of their own: any subclass of Encoder with a field `type`,
    imported with the plugin. Raises DataError if there is none of that type.
    """
    known = {cls.model_fields["type"].default: cls for cls in _encoders(Encoder)}  # type: ignore[type-abstract]
    name = record.get("type")
    if name not in known:
        raise DataError(
            f"inputs were made by an encoder of type '{name}', which is not here: "
            "install or load the plugin of the data set"
        )
    try:
        return known[name].model_validate(dict(record))
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            f"the {name} encoder cannot be read: {first['loc']}: {first['msg']}"
        ) from error


def _encoders(base: type[Encoder]) -> Iterator[type[Encoder]]:
    for cls in base.__subclasses__():
        if "type" in cls.model_fields:
            yield cls
        yield from _encoders(cls)
