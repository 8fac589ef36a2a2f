"""A plugin whose algorithm, MAML, fails in one process of a training: FAILS_IN is its
rank, FAILS_AT the iteration, counted from 0, and FAILS_BY raising or hanging."""

import os
import time

from metapipe import Register, Step, hookimpl
from metapipe.errors import DataError
from metapipe_plugins.algorithms.maml import MAML

TASKS = 4


class Failing(MAML):
    """MAML until it fails."""

    def meta_gradient(self, network, meta, episodes, over) -> Step:
        """Of one task at least."""
        asked = os.environ.get("RANK"), str(episodes.tasks[0].index // TASKS)
        if asked == (os.environ.get("FAILS_IN"), os.environ.get("FAILS_AT")):
            if os.environ.get("FAILS_BY") == "hanging":
                time.sleep(1000)
            raise DataError("the disk of this machine is full")
        return super().meta_gradient(network, meta, episodes, over)


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer it."""
    register("failing", Failing)
