from metapipe_nearest import Nearest

from metapipe.testing import AlgorithmContract


class TestNearest(AlgorithmContract):
    algorithm = Nearest()
