"""What a backbone is: a frozen network that somebody else trained."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from .encoder import Encoder, Form
from .plugin import Plugin


class Backbone(Plugin):
    """A frozen network that somebody else trained: things to vectors.

    It is used through its encoder, so that its weights are never parameters of a
    learner: they stay where they are, and a file that needs them knows their hash.
    """

    form: ClassVar[Form] = "file"
    """What it takes: contents of files, or rows of a table."""

    licence: ClassVar[str]
    """Of the weights."""

    source: ClassVar[str]
    """Who made it, and where it is from."""

    install: ClassVar[str] = ""
    """The command that brings what it needs; empty if nothing is needed."""

    @abstractmethod
    def encoder(self) -> Encoder:
        """What makes a vector (d,) of an item, and of each item alone: batches change
        nothing.

        Its class is registered by `register_encoders`. Its record says all that the
        vectors depend on, with a field `sha256` of weights, transform and version, and
        its `check` refuses others. Raises DataError if what it needs is not here.
        """
