"""Messages are one line of a bounded length, whatever they quote."""

import pytest

from metapipe import UsageError
from metapipe.errors import LONGEST
from metapipe.printable import shortened


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("caf\u00e9 \u5b57", "caf\u00e9 \u5b57"),
        (" blank ", "blank"),
    ],
)
def test_a_message_is_a_line_that_acts_on_nothing(text: str, shown: str) -> None:
    assert str(UsageError(text)) == shown


def test_a_long_message_keeps_its_beginning_and_its_end() -> None:
    message = str(UsageError("'" + "x" * 100_000 + "' is no run: see runs list"))
    assert len(message) <= LONGEST
    assert message.startswith("'xxx")
    assert message.endswith("' is no run: see runs list")
    assert shortened("short", 5) == "short"
