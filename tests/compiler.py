"""A C++ compiler, for tests that want one."""

import shutil

import pytest

needs_compiler = pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("clang++")),
    reason="a C++ compiler is wanted: apt-get install g++",
)
