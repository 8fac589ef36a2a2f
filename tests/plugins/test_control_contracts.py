"""The published contract of control over our own algorithms."""

from metapipe.experiment.registry import load
from metapipe.testing import ControlContract
from metapipe.testing.strolls import CHOICE
from metapipe_plugins.algorithms.anil import ANIL
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.algorithms.maml_trpo import MAMLTRPO
from metapipe_plugins.algorithms.meta_sgd import MetaSGD
from metapipe_plugins.algorithms.promp import ProMP
from metapipe_plugins.algorithms.reptile import Reptile
from metapipe_plugins.algorithms.rl2 import RL2
from metapipe_plugins.algorithms.snail_rl import SNAILRL


class TestMAML(ControlContract):
    algorithm = MAML(inner_steps=2, inner_lr=0.1)


class TestANIL(ControlContract):
    algorithm = ANIL(inner_steps=2)
    problem = CHOICE


class TestMetaSGD(ControlContract):
    algorithm = MetaSGD()


class TestReptile(ControlContract):
    algorithm = Reptile(inner_steps=2, test_steps=2)
    exact_gradient = False  # it moves towards where tasks end up


class TestMAMLTRPO(ControlContract):
    algorithm = MAMLTRPO(curvature=1.0, damping=0.1, solver_steps=4)
    exact_gradient = False  # the gradient is the step


class TestProMP(ControlContract):
    algorithm = ProMP(inner_steps=2)


class TestRL2(ControlContract):
    algorithm = RL2(width=4)
    problem = CHOICE


class TestRL2ThatLooksUp(ControlContract):
    algorithm = RL2(width=4, hidden=3, answered=True)
    problem = CHOICE


class TestSNAILRL(ControlContract):
    algorithm = SNAILRL(embedding=4, filters=3, span=4)


def test_every_method_for_control_is_here() -> None:
    registry = load()
    wanted = {e.cls for e in registry.entries("algorithm") if "control" in e.cls.kinds}
    cases = [case for case in globals().values() if isinstance(case, type)]
    held = {type(c.algorithm) for c in cases if hasattr(c, "algorithm")}
    assert held == wanted
