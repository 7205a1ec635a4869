"""A kernel project: a folder with a ``kernel.cpp``, and perhaps a ``kernel.toml``, that builds to a shared library."""

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

FLAGS = ("-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall")
DEVICES = ("cpu",)
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
        return self.folder / "kernel.cpp"

    @property
    def flags(self) -> list[str]:
        """``flags`` of kernel.toml in the place of our optimisation flags; what a shared library needs stays."""
        toml = self.folder / "kernel.toml"
        given = tomllib.loads(toml.read_text()).get("flags") if toml.exists() else None
        return [*FLAGS] if given is None else [*given, *FLAGS[2:]]

    @property
    def family(self) -> str:
        """The family named in RANVIER_KERNEL(...). Raises ValueError where the source has none."""
        found = re.search(r"RANVIER_KERNEL\(\s*(\w+)", self.source.read_text())
        if found is None:
            raise ValueError(f"{self.source}: no RANVIER_KERNEL(family, ...) in it")
        return found[1]

    @property
    def library(self) -> Path:
        """Named after everything it is built from: another source, another file, so that a process can load both."""
        parts = [ranvier.__version__, *self.flags, *sorted(p.read_text() for p in self.folder.glob("*.[ch]*"))]
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
        return self.folder / "build" / f"lib{self.folder.resolve().name}-{digest}.so"


def compiler() -> str:
    """The C++ compiler: $CXX, g++ or clang++. Raises RuntimeError that says what to install where there is none."""
    for name in (os.environ.get("CXX"), "g++", "clang++", "c++"):
        if name and (found := shutil.which(name)):
            return found
    raise RuntimeError("no C++ compiler found: install one (Debian, Ubuntu: apt install g++) or set CXX")


def build(folder: str | os.PathLike[str]) -> Path:
    """Compiles the project if its sources changed, and returns the library.

    Raises FileNotFoundError where there is no kernel.cpp, RuntimeError with the compiler's words where it fails.
    """
    project = Project(Path(folder))
    if not project.source.exists():
        raise FileNotFoundError(f"{project.source} is missing; `ranvier kernel new` writes a project")
    library = project.library
    if library.exists():
        return library.resolve()
    library.parent.mkdir(exist_ok=True)
    unfinished = library.with_suffix(f".{os.getpid()}.tmp")
    version = f'-DRANVIER_VERSION="{ranvier.__version__}"'
    command = [compiler(), *project.flags, version, f"-I{include_folder()}", str(project.source), "-o", str(unfinished)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        unfinished.unlink(missing_ok=True)
        raise RuntimeError(f"{' '.join(command)}\n{result.stderr}")
    unfinished.replace(library)
    return library.resolve()


def _fields(family: str) -> list[str]:
    """The function pointers of a family's kernel struct, as its header declares them."""
    header = (include_folder() / "ops" / f"{family}.h").read_text()
    struct = re.search(r"struct \w+Kernels \{(.*?)\n\};", header, re.S)
    return re.findall(r"\(\*(\w+)\)\(", struct[1]) if struct else []


def new(family: str, folder: str | os.PathLike[str], device: str = "cpu") -> Path:
    """Writes a project for an op family: the contract, a first kernel where there is a template, and how to go on.

    Raises ValueError for an unknown family or device, FileExistsError where the folder has a kernel.cpp.
    """
    from ranvier.rooms import FAMILIES

    if device not in DEVICES:
        raise ValueError(f"kernel new: device {device!r} is not supported in this version; use {' or '.join(DEVICES)}")
    families = [name for name in FAMILIES if name != "random"]  # whose bits are fixed: there is nothing to choose
    if family not in families:
        raise ValueError(f"kernel new: {family!r} is no family; there are {', '.join(families)}")
    target = Path(folder)
    if (target / "kernel.cpp").exists():
        raise FileExistsError(f"kernel new: {target / 'kernel.cpp'} is there already")
    target.mkdir(parents=True, exist_ok=True)
    template = _HERE / "templates" / f"{family}.cpp"
    text = template.read_text() if template.exists() else _generic(family)
    (target / "kernel.cpp").write_text(text)
    flags = '# Compiler flags; what a shared library needs is added.\nflags = ["-O3", "-march=native"]\n'
    (target / "kernel.toml").write_text(flags)
    (target / ".gitignore").write_text("build/\n")
    return target


def _generic(family: str) -> str:
    header = (include_folder() / "ops" / f"{family}.h").read_text()
    struct = re.search(r"(template <typename T>\n)?struct (\w+Kernels) \{", header)
    assert struct is not None, family
    kind = f"ranvier::PerType<ranvier::{struct[2]}>" if struct[1] else f"ranvier::{struct[2]}"
    where = "kernels.f32" if struct[1] else "kernels"
    fields = "\n".join(f"  //   {where}.{name}" for name in _fields(family))
    return f"""// My kernels for {family}. The contract stands in ops/{family}.h of `ranvier kernel headers`.
#include "core/own_kernel.h"
#include "ops/{family}.h"

RANVIER_KERNEL({family}, {kind}) {{
  // Put functions of your own into the struct; those that you leave alone stay Ranvier's, and may be called:
{fields}
  (void)kernels;
}}
"""
