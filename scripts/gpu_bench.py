"""A first table of ops on a GPU against PyTorch: the stage ``bench`` of scripts/gpu_check.sh.

Both run in one process on the same values, in turns, timed by events over several calls, median of the rounds.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import ranvier as rv

ROUNDS, LEAST_MS = 9, 2.0
rng = np.random.default_rng(0)


def time_ours(run: Callable[[], Any], calls: int) -> float:
    """Milliseconds a call."""
    start, end = rv.cuda.Event(), rv.cuda.Event()
    start.record()
    for _ in range(calls):
        run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / calls


def time_torch(run: Callable[[], Any], calls: int) -> float:
    """Milliseconds a call."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(calls):
        run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / calls


def row(name: str, ours: Callable[[], Any], theirs: Callable[[], Any], gbytes: float, gflops: float) -> None:
    """Prints one line of the table."""
    for run in (ours, theirs):
        run()
    torch.cuda.synchronize()
    rv.cuda.synchronize()
    calls = max(1, min(200, int(LEAST_MS / max(time_torch(theirs, 1), 1e-3))))
    times = [(time_ours(ours, calls), time_torch(theirs, calls)) for _ in range(ROUNDS)]
    mine, peer = (statistics.median(t[i] for t in times) for i in (0, 1))
    rate = f"{gflops / mine:8.2f} TFLOP/s" if gflops else f"{gbytes / mine * 1000:8.0f} GB/s   "
    print(f"{name:34} {mine:9.4f} ms {peer:9.4f} ms  x{peer / mine:6.3f}  {rate}", flush=True)


def pair(*shape: int) -> tuple[Any, Any]:
    """The same float32 values for us and for PyTorch."""
    values = rng.normal(size=shape).astype(np.float32)
    return rv.Tensor(values), torch.from_numpy(values).cuda()


def main() -> None:
    """Prints the table."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    rv.cuda.set_device(0)
    print(f"{'':34} {'ours':>12} {'PyTorch':>12}  ratio (PyTorch / ours)")
    n = 1 << 26
    x, tx = pair(n)
    y, ty = pair(n)
    row("copy 256 MiB", lambda: x.array.copy(), lambda: tx.clone(), 8e-9 * n, 0)
    row("add 2^26", lambda: x + y, lambda: tx + ty, 12e-9 * n, 0)
    row("sum 2^26", lambda: rv.ops.sum(x), lambda: tx.sum(), 4e-9 * n, 0)
    for size in (256, 1024, 4096):
        a, ta = pair(size, size)
        b, tb = pair(size, size)
        row(f"matmul {size}^3", lambda a=a, b=b: a @ b, lambda a=ta, b=tb: a @ b, 0, 2e-9 * size**3)
    for rows, columns in ((8192, 1024), (1024, 32768)):
        a, ta = pair(rows, columns)
        row(f"softmax {rows}x{columns}", lambda a=a: rv.ops.softmax(a), lambda a=ta: a.softmax(-1),
            8e-9 * rows * columns, 0)  # fmt: skip
    for n_, side, channels, filters in ((64, 56, 64, 64), (32, 28, 128, 128)):
        images, timages = pair(n_, side, side, channels)
        kernel, tkernel = pair(3, 3, channels, filters)
        nchw = timages.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        oihw = tkernel.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
        flops = 2e-9 * n_ * side * side * channels * filters * 9
        row(f"conv2d 3x3 {n_}x{side}x{side}x{channels}->{filters}",
            lambda i=images, k=kernel: rv.ops.conv2d(i, k, padding="same"),
            lambda i=nchw, k=oihw: torch.nn.functional.conv2d(i, k, padding=1), 0, flops)  # fmt: skip


if __name__ == "__main__":
    with rv.no_grad(), torch.no_grad():
        main()
