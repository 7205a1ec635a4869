"""Writes the figures and pictures of docs/ladder-cuda.md: what the simulator counts and sees, on any machine.

python tools/ladder_cuda.py            after a change of csrc/cuda/ladder
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

import ranvier as rv
from ranvier import _core
from ranvier.bench import ladder_sim
from ranvier.bench.plot import counts

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "ladder-cuda.md"
LADDERS = ROOT / "csrc" / "cuda" / "ladder"

# What is drawn: file of docs/, ladder and step, kernel, the line by its source, which pass of the warp.
PICTURES = (
    ("cuda-gemm-naive", "gemm", 0, "naive", "gemm.cu", "sum += a[i * k + p] * b[p * n + j]", 1, 0),
    ("cuda-gemm-coalesced", "gemm", 1, "coalesced", "gemm.cu", "sum += a[i * k + p] * b[p * n + j]", 2, 0),
    ("cuda-sum-strided", "sum", 1, "strided_sum", "reduce.cu", "part[to] += part[to + step]", 1, 2),
    ("cuda-sum-sequential", "sum", 2, "sequential_sum", "reduce.cu", "part[t] += part[t + half]", 1, 2),
    ("cuda-transpose-naive", "transpose", 0, "naive_transpose", "transpose.cu", "y[j * rows + i] = x[", 1, 0),
    ("cuda-transpose-shared", "transpose", 1, "tiled_transpose<0>", "transpose.cu", "= tile[b][a]", 1, 0),
    ("cuda-transpose-padded", "transpose", 2, "tiled_transpose<1>", "transpose.cu", "= tile[b][a]", 1, 0),
)
SHAPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "gemm": ((64, 64), (64, 64)),
    "sum": ((1024,),),
    "transpose": ((64, 64),),
}


def number_of(file: str, text: str, which: int) -> int:
    """The number of the line that holds ``text`` for the ``which``-th time."""
    lines = (LADDERS / file).read_text().splitlines()
    return [i for i, line in enumerate(lines, 1) if text in line][which - 1]


def pictures() -> None:
    """One picture of one warp each."""
    for name, op, step, kernel, file, text, which, time in PICTURES:
        arrays = [_core.Array.from_numpy(np.ones(shape, np.float32), True, "sim") for shape in SHAPES[op]]
        run: Callable[..., Any] = getattr(_core, f"_ladder_{op}")
        with rv.sim.trace():
            run(step, *arrays)
        figure = rv.sim.show(kernel, line=number_of(file, text, which), time=time)
        figure.savefig(PAGE.with_name(f"{name}.svg"), metadata={"Date": None})


def main() -> None:
    """Tables into the page, pictures beside it."""
    matplotlib.rcParams.update({"svg.hashsalt": "ranvier", "svg.fonttype": "none"})
    page, climbs = PAGE.read_text(), []
    for name, ladder in ladder_sim.LADDERS.items():
        climbs.append(ladder_sim.climb(name, ladder.shape))
        table = ladder_sim.markdown(climbs[-1])
        page = re.sub(rf"(<!-- counted {name} -->\n).*?(<!-- end -->)", rf"\g<1>{table}\n\g<2>", page, flags=re.S)
    PAGE.write_text(page)
    counts(climbs, str(PAGE.with_suffix(".svg")), "ranvier bench --device sim --variants")
    pictures()


if __name__ == "__main__":
    main()
