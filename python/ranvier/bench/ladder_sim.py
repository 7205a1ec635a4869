"""``ranvier bench gemm --device sim --variants``: what each step of a GPU's ladder asks of the memory system.

The simulator knows no time; it counts what costs time: sectors moved, passes over the banks of shared memory, requests
that leave lanes idle, barriers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ranvier import _core, sim
from ranvier.bench import report
from ranvier.bench.harness import Shape
from ranvier.bench.ladder import _normal


@dataclass(frozen=True)
class Ladder:
    """A ladder on a GPU: its arrays, its steps, the production kernel, and the numbers that must move."""

    shape: Shape
    arrays: Callable[..., list[Any]]
    step: Callable[..., Any]
    production: Callable[..., Any]
    numbers: Callable[..., int]


LADDERS = {
    "gemm": Ladder(
        shape={"m": 128, "n": 128, "k": 128},
        arrays=lambda m, n, k: _normal((m, k), (k, n)),
        step=_core._ladder_gemm,
        production=lambda a, b: _core.matmul_forward(a, b, False, False),
        numbers=lambda m, n, k: m * k + k * n + m * n,
    ),
    "sum": Ladder(
        shape={"count": 1 << 16},
        arrays=lambda count: _normal((count,)),
        step=_core._ladder_sum,
        production=lambda x: _core.sum_forward(x, [0], False),
        numbers=lambda count: count + 1,
    ),
    "softmax": Ladder(
        shape={"rows": 64, "columns": 512},
        arrays=lambda rows, columns: _normal((rows, columns)),
        step=_core._ladder_softmax,
        production=lambda x: _core.softmax_forward(x, -1),
        numbers=lambda rows, columns: 2 * rows * columns,
    ),
    "transpose": Ladder(
        shape={"rows": 128, "columns": 128},
        arrays=lambda rows, columns: _normal((rows, columns)),
        step=_core._ladder_transpose,
        production=lambda x: _core.transpose_forward(x, [1, 0]),
        numbers=lambda rows, columns: 2 * rows * columns,
    ),
}
FAMILIES = {"matmul": "gemm", "dense": "gemm", "reduce": "sum", "reduction": "sum", "shape": "transpose"}


@dataclass(frozen=True)
class Counts:
    """One contender of a climb, counted."""

    ladder: str
    shape: Shape
    name: str
    launches: int
    threads: int
    requests: int  # of warps to global memory
    sectors: int  # of 32 bytes
    least: int  # sectors of every number moved once
    shared_requests: int
    wavefronts: int
    lanes: float  # a request, 32 at most
    barriers: int  # of all blocks


def counted(run: Callable[[], Any]) -> dict[str, Any]:
    """Everything that ``run`` does on the simulator, summed up."""
    with sim.options(check=False), sim.trace() as seen:
        run()
    memory, shared = seen.of("global"), seen.of("shared")
    requests = sum(line.requests for line in memory + shared)
    return {
        "launches": sum(kernel.launches for kernel in seen.kernels),
        "threads": sum(kernel.threads for kernel in seen.kernels),
        "requests": sum(line.requests for line in memory),
        "sectors": sum(line.sectors for line in memory),
        "shared_requests": sum(line.requests for line in shared),
        "wavefronts": sum(line.wavefronts for line in shared),
        "lanes": sum(line.lanes for line in memory + shared) / max(requests, 1),
        "barriers": sum(kernel.barriers for kernel in seen.kernels),
    }


def climb(name: str, shape: Shape) -> list[Counts]:
    """Counts every step and the production kernel."""
    ladder = LADDERS[name]
    arrays = [_core.Array.from_numpy(values, True, "sim") for values in ladder.arrays(**shape)]
    contenders: dict[str, Callable[[], Any]] = {
        f"{number + 1} {step}": partial(ladder.step, number, *arrays)
        for number, step in enumerate(_core._ladder_steps("sim")[name])
    }
    contenders["production kernel"] = partial(ladder.production, *arrays)
    least = -(-ladder.numbers(**shape) * 4 // 32)
    return [Counts(ladder=name, shape=shape, name=key, least=least, **counted(run)) for key, run in contenders.items()]


COLUMNS = (
    ("launches", "launches", "d"),
    ("threads", "threads", ",d"),
    ("requests", "requests", ",d"),
    ("sectors", "sectors", ",d"),
    ("of least", "factor", ".2f"),
    ("shared requests", "shared_requests", ",d"),
    ("wavefronts", "wavefronts", ",d"),
    ("lanes", "lanes", ".1f"),
    ("barriers", "barriers", ",d"),
)


def cells(row: dict[str, Any], heads: Sequence[tuple[str, str, str]] = COLUMNS) -> list[str]:
    """The figures of one step, in the order of ``heads``."""
    values = {**row, "factor": row["sectors"] / max(row.get("least", 1), 1)}
    return [format(values[key], form) for _, key, form in heads]


def columns(rows: dict[str, dict[str, Any]]) -> str:
    """A line of figures for each name, under their heads."""
    heads = [head for head in COLUMNS if head[1] != "factor" or all("least" in row for row in rows.values())]
    lines = ["  " + " " * 18 + "".join(f"{title:>{_width(title)}}" for title, _, _ in heads)]
    for name, row in rows.items():
        figures = zip(cells(row, heads), heads, strict=True)
        lines.append(f"  {name:<18}" + "".join(f"{text:>{_width(title)}}" for text, (title, _, _) in figures))
    return "\n".join(lines)


def table(rows: Sequence[Counts]) -> str:
    """The climb as text, from the first step up."""
    first = rows[0]
    head = f"the {first.ladder} ladder on sim, {report.words(first.shape)}: {first.least:,} sectors at least"
    return f"{head}\n{columns({row.name: vars(row) for row in rows})}"


def _width(title: str) -> int:
    return max(11, len(title) + 2)


def markdown(rows: Sequence[Counts]) -> str:
    """The same as a table of Markdown, for the chapter in docs/."""
    heads = [title for title, _, _ in COLUMNS]
    lines = [f"| {report.words(rows[0].shape)} | " + " | ".join(heads) + " |", "| --- " * (len(heads) + 1) + "|"]
    return "\n".join([*lines, *(f"| {row.name} | " + " | ".join(cells(vars(row))) + " |" for row in rows)])
