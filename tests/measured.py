"""What something takes in a fresh process."""

import resource
import sys
import time

from commands import FORKS


def peak_growth(function, argument):
    """What a function says in a fresh process, the MiB it takes there, and seconds."""
    with FORKS.Pool(1) as pool:
        return pool.apply(_measured, (function, argument))


def _measured(function, argument):
    before, start = _peak(), time.monotonic()
    said = function(argument)
    return said, _peak() - before, time.monotonic() - start


def _peak():
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most >> (20 if sys.platform == "darwin" else 10)
