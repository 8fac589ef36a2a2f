import pytest

from metapipe.data import normal_name


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("caf\u00e9", "caf\u00e9"),
        ("cafe\u0301", "caf\u00e9"),
        ("rose ", "rose"),
        ("\u00a0rose\t", "rose"),
        ("tea rose", "tea rose"),
        (3, "3"),
    ],
)
def test_a_name_has_one_form(written: object, name: str) -> None:
    assert normal_name(written) == name
