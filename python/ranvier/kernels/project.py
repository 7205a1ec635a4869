"""A kernel project: a folder that builds to a shared library.

``kernel.cpp`` computes on the CPU; ``kernel.cu`` on the simulator, where any C++ compiler builds it, and on a GPU,
where nvcc does. Flags stand in ``kernel.toml``.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

import ranvier
from ranvier import _core

FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall")
# For the simulator: every load and store reported to it, with the line that makes it (docs/simulator.md).
WATCHED = {
    "cc": ("-O1", "-g1", "-std=c++17", "-fPIC", "-fsanitize=thread", "-fno-strict-aliasing", "-ffp-contract=fast"),
    "gcc": ("-fno-tree-sra", "--param", "tsan-instrument-func-entry-exit=0"),
    "clang": ("-mllvm", "-tsan-instrument-func-entry-exit=0"),
}
NVCC = ("-O3", "-std=c++17", "--expt-relaxed-constexpr", "-Xcompiler", "-fPIC", "-shared")
DEVICES = ("cpu", "sim", "cuda")
_HERE = Path(__file__).parent


def include_folder() -> Path:
    """Where the headers are: carried by the wheel, or ``csrc`` of the checkout."""
    installed = _HERE.parent / "include"
    return installed if installed.is_dir() else _HERE.parents[2] / "csrc"


def suite_folder() -> Path:
    """The folder that holds ``tests`` with the specs: carried by the wheel, or the checkout."""
    installed = _HERE.parent / "suite"
    return installed if installed.is_dir() else _HERE.parents[2]


@dataclass(frozen=True)
class Project:
    """A kernel project on disk."""

    folder: Path

    @property
    def source(self) -> Path:
        """kernel.cu where there is one, else kernel.cpp."""
        gpu = self.folder / "kernel.cu"
        return gpu if gpu.exists() else self.folder / "kernel.cpp"

    @property
    def device(self) -> str:
        """Where it computes unless somebody says otherwise: ``"sim"`` for a kernel.cu, else ``"cpu"``."""
        return "sim" if self.source.suffix == ".cu" else "cpu"

    def flags(self, device: str) -> list[str]:
        """``flags`` of kernel.toml in the place of our optimisation flags; what a shared library needs stays."""
        toml = self.folder / "kernel.toml"
        given = tomllib.loads(toml.read_text()).get("flags") if toml.exists() else None
        if device == "cpu":
            return [*FLAGS] if given is None else [*given, *FLAGS[2:]]
        if device == "cuda":
            return [*(given or ["-arch=sm_80"]), *NVCC]
        return [*WATCHED["cc"], *WATCHED["clang" if "clang" in Path(compiler()).name else "gcc"]]

    @property
    def family(self) -> str:
        """The family named in RANVIER_KERNEL(...). Raises ValueError where the source has none."""
        found = re.search(r"RANVIER_KERNEL\(\s*(\w+)", self.source.read_text())
        if found is None:
            raise ValueError(f"{self.source}: no RANVIER_KERNEL(family, ...) in it")
        return found[1]

    def library(self, device: str) -> Path:
        """Named after everything it is built from: another source, another file, so that a process can load both."""
        sources = sorted(p.read_text() for p in self.folder.glob("*.[ch]*"))
        parts = [ranvier.__version__, *self.flags(device), *sources, *([] if device == "cpu" else [device])]
        if device != "cpu":  # linked with the module that holds the device's run-time
            parts.append(_core.__file__)
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
        return self.folder / "build" / f"lib{self.folder.resolve().name}-{digest}.so"

    def commands(self, device: str, to: Path) -> list[list[str]]:
        """What builds the library for a device."""
        definitions = [f'-DRANVIER_VERSION="{ranvier.__version__}"', f'-DRANVIER_KERNEL_DEVICE="{device}"']
        given = [*self.flags(device), *definitions, f"-I{include_folder()}"]
        if device == "cpu":
            return [[compiler(), *given, str(self.source), "-o", str(to)]]
        if device == "cuda":
            return [[nvcc(), *given, str(self.source), _core.__file__, "-o", str(to)]]
        objects = to.with_suffix(".o")
        return [
            [compiler(), *given, "-x", "c++", "-c", str(self.source), "-o", str(objects)],
            [compiler(), "-shared", str(objects), _core.__file__, "-o", str(to)],
        ]


def compiler() -> str:
    """The C++ compiler: $CXX, g++ or clang++. Raises RuntimeError that says what to install where there is none."""
    for name in (os.environ.get("CXX"), "g++", "clang++", "c++"):
        if name and (found := shutil.which(name)):
            return found
    raise RuntimeError("no C++ compiler found: install one (Debian, Ubuntu: apt install g++) or set CXX")


def nvcc() -> str:
    """The CUDA compiler: $CUDACXX or nvcc. Raises RuntimeError where there is none."""
    for name in (os.environ.get("CUDACXX"), "nvcc", "/usr/local/cuda/bin/nvcc"):
        if name and (found := shutil.which(name)):
            return found
    raise RuntimeError("no nvcc found: install the CUDA toolkit or set CUDACXX; device 'sim' needs neither")


def build(folder: str | os.PathLike[str], device: str | None = None) -> Path:
    """Compiles the project if its sources changed, and returns the library.

    ``device``: ``"cuda"`` compiles a kernel.cu for a GPU; None is the simulator for a kernel.cu, the CPU for a
    kernel.cpp. Raises FileNotFoundError where there is no source, ValueError for a device that the source is not for,
    RuntimeError with the compiler's words where it fails.
    """
    project = Project(Path(folder))
    if not project.source.exists():
        raise FileNotFoundError(f"{project.source} is missing; `ranvier kernel new` writes a project")
    device = device or project.device
    if (device == "cpu") != (project.device == "cpu") or device not in DEVICES:
        raise ValueError(f"kernel build: {project.source.name} does not compute on device {device!r}")
    library = project.library(device)
    if library.exists():
        return library.resolve()
    library.parent.mkdir(exist_ok=True)
    unfinished = library.with_suffix(f".{os.getpid()}.tmp")
    try:
        for command in project.commands(device, unfinished):
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode != 0:
                raise RuntimeError(f"{' '.join(command)}\n{result.stderr}")
        unfinished.replace(library)
    finally:
        unfinished.unlink(missing_ok=True)
        unfinished.with_suffix(".o").unlink(missing_ok=True)
    return library.resolve()


def _fields(family: str) -> list[str]:
    """The function pointers of a family's kernel struct, as its header declares them."""
    header = (include_folder() / "ops" / f"{family}.h").read_text()
    struct = re.search(r"struct \w+Kernels \{(.*?)\n\};", header, re.S)
    return re.findall(r"\(\*(\w+)\)\(", struct[1]) if struct else []


def new(family: str, folder: str | os.PathLike[str], device: str = "cpu") -> Path:
    """Writes a project for an op family: the contract, a first kernel where there is a template, and how to go on.

    ``device``: ``"cpu"`` writes a kernel.cpp, ``"sim"`` or ``"cuda"`` a kernel.cu for both. Raises ValueError for an
    unknown family or device, FileExistsError where the folder has a kernel.
    """
    from ranvier.rooms import FAMILIES

    if device not in DEVICES:
        raise ValueError(f"kernel new: device {device!r} is unknown; there are {', '.join(DEVICES)}")
    families = [name for name in FAMILIES if name != "random"]  # whose bits are fixed: there is nothing to choose
    if family not in families:
        raise ValueError(f"kernel new: {family!r} is no family; there are {', '.join(families)}")
    target = Path(folder)
    if (there := Project(target).source).exists():
        raise FileExistsError(f"kernel new: {there} is there already")
    target.mkdir(parents=True, exist_ok=True)
    suffix = "cpp" if device == "cpu" else "cu"
    template = _HERE / "templates" / f"{family}.{suffix}"
    text = template.read_text() if template.exists() else _generic(family, device)
    (target / f"kernel.{suffix}").write_text(text)
    (target / "kernel.toml").write_text(_TOML[suffix])
    (target / ".gitignore").write_text("build/\n")
    return target


_TOML = {
    "cpp": '# Compiler flags; what a shared library needs is added.\nflags = ["-O3", "-march=native"]\n',
    "cu": '# For nvcc (`ranvier kernel build --device cuda`); the simulator has its own.\nflags = ["-arch=sm_80"]\n',
}


def _generic(family: str, device: str) -> str:
    header = (include_folder() / "ops" / f"{family}.h").read_text()
    struct = re.search(r"(template <typename T>\n)?struct (\w+Kernels) \{", header)
    assert struct is not None, family
    kind = f"ranvier::PerType<ranvier::{struct[2]}>" if struct[1] else f"ranvier::{struct[2]}"
    where = "kernels.f32" if struct[1] else "kernels"
    fields = "\n".join(f"  //   {where}.{name}" for name in _fields(family))
    launch = "" if device == "cpu" else '#include "cuda/launch.h"  // launch<kernel>(grid, block, shared_bytes, ...)\n'
    return f"""// My kernels for {family}. The contract stands in ops/{family}.h of `ranvier kernel headers`.
#include "core/own_kernel.h"
{launch}#include "ops/{family}.h"

RANVIER_KERNEL({family}, {kind}) {{
  // Put functions of your own into the struct; those that you leave alone stay Ranvier's, and may be called:
{fields}
  (void)kernels;
}}
"""
