"""Contract tests for plugins, to subclass in three lines.

    class TestMine(AlgorithmContract):
        algorithm = Mine(inner_lr=0.1)

pytest then checks everything that metapipe relies on. Our own plugins pass the same
classes. Nothing here needs pytest itself: failures are plain assertions.
"""

from .algorithm import AlgorithmContract
from .arena import ArenaContract
from .backbone import BackboneContract
from .control import ControlContract
from .dataset import DatasetContract
from .head import HeadContract
from .model import ModelContract
from .observer import ObserverContract
from .plugin import PluginContract
from .strolls import strolls
from .toys import TinyModel, blobs, waves

__all__ = [
    "AlgorithmContract",
    "ArenaContract",
    "BackboneContract",
    "ControlContract",
    "DatasetContract",
    "HeadContract",
    "ModelContract",
    "ObserverContract",
    "PluginContract",
    "TinyModel",
    "blobs",
    "strolls",
    "waves",
]
