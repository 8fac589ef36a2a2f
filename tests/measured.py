"""What something takes in a fresh process."""

import resource
import sys
import time

from commands import FORKS
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class Living(TorchDispatchMode):
    """Bytes of the tensors made inside that were alive at once, at most."""

    def __init__(self):
        super().__init__()
        self.most = self._now = 0
        self._alive = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in tree_iter(made):
            if isinstance(tensor, Tensor):
                self._note(tensor.untyped_storage())
        if self._now > self.most:  # or less: some may be gone
            self._alive = {k: v for k, v in self._alive.items() if not v[0].expired()}
            self._now = sum(size for _, size in self._alive.values())
            self.most = max(self.most, self._now)
        return made

    def _note(self, storage):
        place, size = storage.data_ptr(), storage.nbytes()
        _, before = self._alive.get(place, (None, 0))
        self._alive[place] = StorageWeakRef(storage), size
        self._now += size - before


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
