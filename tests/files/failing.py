"""A plugin whose algorithm, MAML, fails in one process of a training: FAILS_IN is its
rank, FAILS_AT the iteration, counted from 0, and FAILS_BY raising, hanging or dying.
Processes that are started again do not."""

import os
import signal
import time
from pathlib import Path

from metapipe import Register, Step, hookimpl
from metapipe.errors import DataError
from metapipe_plugins.algorithms.maml import MAML

TASKS = 4


class Failing(MAML):
    """MAML until it fails, which the file `failed` tells the time of."""

    def meta_gradient(self, network, meta, episodes, over) -> Step:
        """Of one task at least."""
        asked = os.environ.get("RANK"), str(episodes.tasks[0].index // TASKS)
        first = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
        if first and asked == (os.environ.get("FAILS_IN"), os.environ.get("FAILS_AT")):
            Path("failed").touch()
            if os.environ.get("FAILS_BY") == "hanging":
                time.sleep(1000)
            if os.environ.get("FAILS_BY") == "dying":
                os.kill(os.getpid(), signal.SIGKILL)
            raise DataError("the disk of this machine is full")
        return super().meta_gradient(network, meta, episodes, over)


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer it."""
    register("failing", Failing)
