"""What something takes in a fresh process."""

import multiprocessing
import resource
import sys
import time


def peak_growth(function, argument):
    """What a function says in a fresh process, the MiB it takes there, and seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["metapipe.data"])
    with context.Pool(1) as pool:
        return pool.apply(_measured, (function, argument))


def _measured(function, argument):
    before, start = _peak(), time.monotonic()
    said = function(argument)
    return said, _peak() - before, time.monotonic() - start


def _peak():
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most >> (20 if sys.platform == "darwin" else 10)
