"""``ranvier kernel bench`` on the simulator: what a kernel asks of the memory system, beside what ours asks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import ranvier as rv
from ranvier import _core, kernels
from ranvier.bench import ladder_sim, report, selected
from ranvier.kernels.project import Project

MOST = 1 << 15  # numbers of a shape multiplied: a watched access takes some 100 ns


def small(shape: dict[str, Any]) -> dict[str, Any]:
    """The shape with its largest numbers halved until the simulator is done in a second or so."""
    shape = dict(shape)
    while math.prod(v for v in shape.values() if isinstance(v, int) and v > 0) > MOST:
        largest = max((k for k, v in shape.items() if isinstance(v, int)), key=lambda k: shape[k])
        shape[largest] //= 2
    return shape


def compare(project: Project, ops: Sequence[str]) -> None:
    """Prints the counts of every benchmark of the family, or of ``ops``, and then the kernel's trace, line by line."""
    name = project.folder.resolve().name
    kernels.use(project.folder)
    _core._enable_own_kernels(False)
    traces: dict[str, rv.sim.Trace] = {}
    for _, bench in selected(ops or [project.family]):
        shapes: list[dict[str, Any]] = []
        for shape in map(small, bench.shapes):
            if shape in shapes:
                continue
            shapes.append(shape)
            with rv.device("sim"):
                ours = bench.prepare(**shape)["ranvier"]
                theirs = kernels.contender(ours)
                rows = {"ranvier": ladder_sim.counted(ours), name: ladder_sim.counted(theirs)}
            if rows[name]["launches"] == 0:  # a benchmark that makes arrays of the CPU
                continue
            what = f"{bench.name} on sim, {report.words(shape)}"
            if rows[name] == rows["ranvier"]:
                print(f"{what}: as ours")
                continue
            print(f"{what}\n{ladder_sim.columns(rows)}")
            with rv.device("sim"), rv.sim.options(check=False), rv.sim.trace() as traces[what]:
                theirs()
    for what, seen in list(traces.items())[-1:]:
        print(f"\n{what}, line by line\n{seen}")
