"""Where an op lives: every room of every op, found in the sources by name (design: one op, one name, six rooms)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

FAMILIES = (
    "activation",
    "conv2d",
    "elementwise",
    "embedding",
    "gemm",
    "group_norm",
    "image",
    "loss",
    "norm",
    "optimizer",
    "pool2d",
    "random",
    "recurrent",
    "reduce",
    "shape",
    "softmax",
)

# What each room is called, and where a family's part of it stands: a file, or a folder of that name.
ROOMS = {
    "declaration": "csrc/ops/{family}.h",
    "checks and binding": "csrc/ops/{family}.cpp",
    "C++ kernels": "csrc/cpu/{family}.cpp",
    "CUDA kernels": "csrc/cuda/{family}.cu",
    "differentiable op": "python/ranvier/ops/{family}.py",
    "reference": "python/ranvier/reference/{family}.py",
    "tests": "tests/specs/{family}.py",
    "benchmark": "benchmarks/ops/{family}.py",
}

# Rooms that only some families have: the teaching ladders.
MORE_ROOMS = {
    "ladder": "csrc/cpu/ladder/{family}.cpp",
    "story of the ladder": "docs/ladder-{family}.md",
    "CUDA ladder": "csrc/cuda/ladder/{family}.cu",
}


@dataclass(frozen=True)
class Place:
    """A line of a room that speaks of an op."""

    room: str
    path: Path  # relative to the checkout
    line: int
    text: str


def public_ops() -> dict[str, str]:
    """Every public op and its family: the ``__all__`` of each module of ``rv.ops``."""
    return {op: family for family in FAMILIES for op in import_module(f"ranvier.ops.{family}").__all__}


def source_root(start: Path | None = None) -> Path:
    """The checkout that holds the current folder (or ``start``), or this very module.

    Raises FileNotFoundError, saying what to do, where there is none: a wheel carries no C++ sources.
    """
    for base in ((start or Path.cwd()).resolve(), Path(__file__).resolve()):
        for folder in (base, *base.parents):
            if (folder / "csrc" / "ops").is_dir() and (folder / "python" / "ranvier").is_dir():
                return folder
    raise FileNotFoundError("no Ranvier sources here: change into a checkout of the repository and ask again")


def _files(root: Path, pattern: str, family: str) -> list[Path]:
    """The room's file, or all files of the folder of that name."""
    file = root / pattern.format(family=family)
    folder = file.with_suffix("")
    inside = sorted(p for p in folder.rglob("*") if p.suffix in (".h", file.suffix)) if folder.is_dir() else []
    return ([file] if file.is_file() else []) + inside


def _names(op: str) -> re.Pattern[str]:
    """The op's name in any of its spellings: ``leaky_relu``, ``LeakyRelu``, ``kLeakyRelu``, ``leaky_relu_forward``."""
    camel = "".join(part[:1].upper() + part[1:] for part in op.split("_"))
    return re.compile(rf"(?<![a-z0-9]){re.escape(op)}(?![a-z0-9])|{camel}(?![a-z0-9])")


# Lines that define, before lines that merely mention: the first definition is where a reader wants to land.
_DEFINES = re.compile(
    r"^\s*(def |class |template|struct |enum |static |void |Array |op=|.*name=|\s*m\.def|.*\(.*\) \{$)"
)


def find(op: str, root: Path | None = None) -> list[Place]:
    """The best line of every room for ``op``; a room that does not know it is left out.

    Raises ValueError for an op that does not exist.
    """
    families = {**{family: family for family in FAMILIES}, **public_ops()}  # norm is an op of reduce, and a family
    if op not in families:
        raise ValueError(f"no op is called {op!r}; the ops are {', '.join(sorted(families))}")
    base = root or source_root()
    places = []
    for room, pattern in {**ROOMS, **MORE_ROOMS}.items():
        hits = []
        for path in _files(base, pattern, families[op]) or _files(base, pattern, op):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if (op == families[op] and number == 1) or _names(op).search(line):
                    hits.append(Place(room, path.relative_to(base), number, line.strip()))
        if hits:
            places.append(next((hit for hit in hits if _DEFINES.match(hit.text)), hits[0]))
    return places
