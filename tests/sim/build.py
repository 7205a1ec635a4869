"""Kernels of this folder compiled as kernels from outside the tree would be."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from pathlib import Path

from ranvier import _core
from ranvier.kernels.project import compiler, include_folder

WATCHED = [
    *("-O1", "-g1", "-std=c++17", "-fPIC", "-fsanitize=thread", "-fno-strict-aliasing", "-fno-tree-sra"),
    *("--param", "tsan-instrument-func-entry-exit=0"),
]


@functools.cache
def library(name: str) -> ctypes.CDLL:
    """``name``.cu as a shared library that finds the simulator in ``_core``, which is loaded already."""
    folder = Path(tempfile.mkdtemp(prefix="ranvier-sim-"))
    source, objects, built = Path(__file__).with_name(f"{name}.cu"), folder / f"{name}.o", folder / f"{name}.so"
    include = f"-I{include_folder()}"
    subprocess.run([compiler(), *WATCHED, include, "-x", "c++", "-c", str(source), "-o", str(objects)], check=True)
    subprocess.run([compiler(), "-shared", str(objects), _core.__file__, "-o", str(built)], check=True)
    return ctypes.CDLL(str(built))


def address(x: _core.Array) -> ctypes.c_void_p:
    """Where the values of an array on ``sim`` lie."""
    return ctypes.c_void_p(x.address)
