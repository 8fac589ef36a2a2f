"""Encoders by the name they are kept under: see `metapipe.encoder.Encoder`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ..encoder import Encoder
from ..errors import DataError


def encoder_from(
    record: Mapping[str, Any], known: Mapping[str, type[Encoder]]
) -> Encoder:
    """The encoder that a run or an adapted model was kept with.

    `known` are the registered ones by name. Raises DataError if it is none of them.
    """
    name = record.get("type")
    if not (isinstance(name, str) and name in known):
        raise DataError(
            f"inputs were made by an encoder of type '{name}', which is not here: "
            "install or load the plugin that has it"
        )
    try:
        return known[name].model_validate(dict(record))
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            f"the {name} encoder cannot be read: {first['loc']}: {first['msg']}"
        ) from error
