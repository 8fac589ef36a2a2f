"""Encoders by the name they are kept under: see `metapipe.encoder.Encoder`."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ..encoder import Encoder
from ..errors import DataError


def is_name(text: str) -> bool:
    """Whether a text from a file may be the name of a plugin, or of an encoder."""
    return text.isprintable() and 0 < len(text) <= 100


def encoder_from(
    record: Mapping[str, Any], known: Mapping[str, type[Encoder]]
) -> Encoder:
    """The encoder that a run or an adapted model was kept with.

    `known` are the registered ones by name. Raises DataError if it is none of them.
    """
    name = record.get("type")
    if not (isinstance(name, str) and name in known):
        shown = name if isinstance(name, str) and is_name(name) else reprlib.repr(name)
        raise DataError(
            f"inputs were made by an encoder of type '{shown}', which is not here: "
            "install or load the plugin that has it"
        )
    try:
        return known[name].model_validate(dict(record))
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            f"the {name} encoder cannot be read: {first['loc']!s:.100}: {first['msg']}"
        ) from error
