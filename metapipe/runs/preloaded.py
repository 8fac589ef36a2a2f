"""What all processes of a training need, imported once for all of them, and for those
that are started again; being imported is all that this module is for.

None of it is garbage: nobody looks for any in it, neither they nor who forks them. At
the end of a process that would take half a second.
"""

import gc

from ..training import gloo_crew
from . import progress, requests

__all__ = ["gloo_crew", "progress", "requests"]

gc.freeze()
