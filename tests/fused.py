"""conv4-fused, the plugin in benchmarks/kernels."""

from importlib import import_module
from typing import Any

from project import ROOT

from metapipe import load_plugins

FILE = ROOT / "benchmarks" / "kernels" / "conv4_fused.py"

Conv4Fused: Any = load_plugins(FILE).entry("model", "conv4-fused").cls

plugin: Any = import_module(Conv4Fused.__module__)
WIDTHS, IMAGE_CHANNELS = plugin.WIDTHS, plugin.IMAGE_CHANNELS

# Files beside the plugin's, which it has made to be found.
kernel_library = import_module("kernel_library")
blocks = import_module("kernel_blocks")
functions = import_module("kernel_functions")
