"""Bring your own kernel: C++ or CUDA from outside the tree in the place of ours (design §10).

``ranvier kernel new gemm my_gemm/`` writes a small project (with ``--device sim`` a kernel.cu for the simulator),
``ranvier kernel test my_gemm/`` builds it and runs the op's own spec on it, ``ranvier kernel bench my_gemm/`` measures
it beside ours and the peers', and ``use`` trains with it.
"""

from __future__ import annotations

import os
from typing import Any

from ranvier import _core
from ranvier.changes import changes
from ranvier.kernels.project import Project, build, new

__all__ = ["Project", "build", "new", "reset", "use", "used"]


def use(project: str | os.PathLike[str], device: str | None = None) -> str:
    """Puts the kernels of a project folder (built if need be) or of a shared library into the table.

    From then on every op of that family calls them, in eager and replayed steps: those of a kernel.cpp on the CPU, on
    every instruction set, those of a kernel.cu on device ``sim``, or on GPUs with ``device="cuda"``. Later ones stand
    on top of earlier ones. Kernels that call each other inside C++ (``lstm`` its products, say) still call ours.
    Returns the family. Raises ValueError for a library that is none of ours or was built for another version,
    RuntimeError with the compiler's words where the build fails.

    >>> import ranvier as rv
    >>> rv.kernels.used()
    []
    """
    path = os.fspath(project)
    library = build(path, device) if os.path.isdir(path) else os.path.abspath(path)
    changes.count += 1
    return _core._use_kernels(str(library))


def reset() -> None:
    """Ranvier's own kernels again, all of them."""
    changes.count += 1
    _core._reset_kernels()


def used() -> list[tuple[str, str]]:
    """(family, library) of each ``use`` since the last ``reset``."""
    return _core._own_kernels()


def contender(ours: Any) -> Any:
    """``ours``, a function without arguments, as one that runs on the own kernels; outside it the built-in ones run."""

    def theirs() -> Any:
        _core._enable_own_kernels(True)
        try:
            return ours()
        finally:
            _core._enable_own_kernels(False)

    return theirs


for _path in filter(None, os.environ.get("RANVIER_KERNELS", "").split(os.pathsep)):
    use(_path)
