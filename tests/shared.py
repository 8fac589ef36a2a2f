"""Where real data for tests lie, outside the project."""

from pathlib import Path

import pytest

DATA = Path(__file__).parents[2] / "shared" / "data"

needs_data = pytest.mark.skipif(
    not (DATA / "omniglot.zip").is_file(),
    reason="real data are not beside the checkout (../shared/data)",
)
