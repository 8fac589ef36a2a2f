"""Positive definite systems on a GPU, against numpy.

`pytest -m cuda` runs these, and they skip where there is no GPU.
"""

import numpy as np
import pytest
import torch

from metapipe_plugins.parts.heads.positive import inverse, solution

pytestmark = pytest.mark.cuda


def test_solution_and_inverse_are_those_of_numpy() -> None:
    drawn = torch.randn(3, 6, 9, generator=torch.manual_seed(0), dtype=torch.float64)
    matrices, right = drawn @ drawn.mT, drawn[..., :2]
    factor = torch.linalg.cholesky(matrices).cuda()
    found = solution(factor, right.cuda()).cpu().numpy()
    np.testing.assert_allclose(found, np.linalg.solve(matrices, right), rtol=1e-9)
    found = inverse(factor).cpu().numpy()
    np.testing.assert_allclose(found, np.linalg.inv(matrices), rtol=1e-9)
