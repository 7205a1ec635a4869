"""What the table measures: shapes that matter, the least that we ask of a kernel (floor) and what we are after (goal).

Floors and goals are ratios of the best peer's time to ours in one run on two threads. They were set on a 2-core AVX-512
Xeon beside PyTorch with MKL and oneDNN; on another processor the peers may be better or worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, dtype, selected, torch


@dataclass(frozen=True)
class Target:
    """A row of the table: a benchmark, one of its shapes, and the two ratios."""

    bench: str
    shape: dict[str, Any]
    floor: float
    goal: float


@dataclass(frozen=True)
class TrainingTarget:
    """A network, and the time per sample (tiny: per step) in microseconds: at most the floor, better the goal."""

    network: str
    floor: float
    goal: float


def _matmul(m: int, n: int, k: int, floor: float, goal: float, t: str = "") -> Target:
    return Target("matmul", {"m": m, "n": n, "k": k, "t": t}, floor, goal)


def _image(images: int, size: int, channels: int, filters: int, padding: str = "valid") -> dict[str, Any]:
    return {"images": images, "size": size, "channels": channels, "filters": filters, "padding": padding}


FIRST, PHOTO = _image(64, 28, 1, 32), _image(20, 150, 3, 32)
MIDDLE = (
    _image(64, 13, 32, 64),
    _image(20, 74, 32, 64),
    _image(8, 56, 64, 64, "same"),
    _image(8, 28, 128, 128, "same"),
)
DEEP, DEEPEST = _image(8, 14, 256, 256, "same"), _image(8, 7, 512, 512, "same")


def _convolutions() -> list[Target]:
    targets = [Target("conv2d", FIRST, 2, 2.5), Target("conv2d", PHOTO, 4, 6.5)]
    targets += [Target("conv2d", shape, 1.9, 2.6) for shape in MIDDLE]
    targets += [Target("conv2d", DEEP, 1.6, 2.1), Target("conv2d", DEEPEST, 1.2, 2.0)]
    targets += [Target("conv2d_input_gradient", shape, 1.3, 2.2) for shape in (*MIDDLE, DEEP)]
    targets += [Target("conv2d_input_gradient", DEEPEST, 1.0, 1.3)]
    targets += [Target("conv2d_kernel_gradient", FIRST, 2, 3), Target("conv2d_kernel_gradient", PHOTO, 1.4, 2)]
    targets += [Target("conv2d_kernel_gradient", shape, 1.5, 2.4) for shape in MIDDLE]
    targets += [Target("conv2d_kernel_gradient", DEEP, 1.6, 1.9), Target("conv2d_kernel_gradient", DEEPEST, 1.0, 1.3)]
    return targets + [Target(WHOLE, shape, 1.3, 2) for shape in (FIRST, PHOTO, *MIDDLE[:3], DEEP)]


WHOLE = "conv2d forward + backward"
LONG, WIDE = (
    {"batch": 32, "steps": 80, "inputs": 128, "units": 128},
    {"batch": 64, "steps": 100, "inputs": 256, "units": 512},
)


def targets() -> list[Target]:
    """Every op's rows."""
    return [
        *[_matmul(n, n, n, 0.98, 1.02) for n in (1024, 2048, 4096)],
        _matmul(512, 512, 512, 0.97, 1.03),
        _matmul(128, 512, 784, 0.97, 1.08),
        _matmul(128, 784, 512, 0.97, 1.08, "b"),
        _matmul(784, 512, 128, 0.97, 1.08, "a"),
        _matmul(20, 1024, 256, 1.2, 1.4),
        _matmul(64, 2048, 512, 1.0, 1.08),
        _matmul(128, 10, 512, 1.0, 1.3),
        *_convolutions(),
        Target("max_pool2d", {"images": 20, "size": 148, "channels": 32}, 2.5, 3.3),
        Target("max_pool2d", {"images": 64, "size": 26, "channels": 32}, 2.5, 3.3),
        Target("batch_norm + relu training forward + backward", {"rows": 32 * 56 * 56, "channels": 64}, 2.5, 4),
        Target("lstm", LONG, 1.25, 1.6),
        Target("lstm with gradient", LONG, 1.1, 1.35),
        Target("lstm", WIDE, 0.98, 1.05),
        Target("lstm with gradient", WIDE, 0.98, 1.05),
        Target("adam_step", {"tensors": 1, "size": 10_000_000}, 1.2, 1.4),
        Target("adam_step", {"tensors": 200, "size": 1000}, 3, 10),
        Target("softmax", {"rows": 128, "columns": 10_000}, 1.0, 1.5),
        *[Target(name, {"n": 4_194_304}, 1.0, 1.5) for name in ("exp", "tanh", "sigmoid")],
    ]


TRAINING = (
    TrainingTarget("S11", 8.5, 6.2),
    TrainingTarget("S21", 80, 40),
    TrainingTarget("S24", 5500, 2500),
    TrainingTarget("tiny", 20, 8),
)


def prepare_whole(images: int, size: int, channels: int, filters: int, padding: str) -> dict[str, Any]:
    """A convolution with bias and all gradients, as a user calls it: both sides allocate."""
    rng = np.random.default_rng(0)
    out = size if padding == "same" else size - 2
    shapes = ((images, size, size, channels), (3, 3, channels, filters), (filters,), (images, out, out, filters))
    x, w, b, dy = (rng.normal(size=shape).astype(dtype()) for shape in shapes)
    ours, our_dy = [rv.Tensor(v, requires_grad=True) for v in (x, w, b)], rv.Tensor(dy)

    def step() -> Any:
        return rv.grad(rv.ops.conv2d(*ours, padding=padding), ours, our_dy)

    thunks: dict[str, Any] = {"ranvier": step}
    if torch is not None:
        last = torch.channels_last
        tx, tdy = (torch.from_numpy(v).permute(0, 3, 1, 2) for v in (x, dy))
        tw = torch.from_numpy(w.transpose(3, 2, 0, 1).copy()).contiguous(memory_format=last)
        leaves = [t.requires_grad_() for t in (tx, tw, torch.from_numpy(b))]
        pad = 1 if padding == "same" else 0
        thunks["torch"] = lambda: torch.autograd.grad(torch.conv2d(*leaves, padding=pad), leaves, tdy)
    return thunks


def bench_of(target: Target) -> OpBench:
    """The benchmark of a row."""
    if target.bench == WHOLE:
        forward = bench_of(Target("conv2d", target.shape, 0, 0))
        return OpBench(
            name=WHOLE,
            shapes=(target.shape,),
            prepare=prepare_whole,
            flops=lambda **shape: 3 * forward.flops(**shape),
            bytes=lambda **shape: 3 * forward.bytes(**shape),
        )
    return next(bench for _, bench in selected([]) if bench.name == target.bench)
