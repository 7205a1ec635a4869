"""Moving elements: one read and one write of each. reshape, expand_dims and squeeze move nothing: a call's cost."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, dtype, torch

MATRICES = ({"rows": 128, "columns": 784}, {"rows": 2048, "columns": 2048}, {"rows": 65_536, "columns": 32})


def bench(name: str, ours: Callable[[Any], Any], numpys: Any, torchs: Any, scale: float = 1.0) -> OpBench:
    """One op on (rows, columns), said in each library's words; it writes ``scale`` times what it reads."""

    def prepare(rows: int, columns: int) -> dict[str, Any]:
        x = np.random.default_rng(0).normal(size=(rows, columns)).astype(dtype())
        tensor = rv.Tensor(x)
        contenders: dict[str, Any] = {"ranvier": lambda: ours(tensor), "numpy": lambda: numpys(x)}
        if torch is not None:
            theirs = torch.from_numpy(x)
            contenders["torch"] = lambda: torchs(theirs)
        return contenders

    return OpBench(
        name=name,
        shapes=MATRICES,
        prepare=prepare,
        flops=lambda rows, columns: 0,
        bytes=lambda rows, columns: 4 * rows * columns * (1 + scale),
    )


@cache
def row_numbers(rows: int) -> np.ndarray:
    """Half as many row numbers as there are rows; made once, so that no thunk pays for them."""
    return np.random.default_rng(1).integers(0, rows, rows // 2)


def rows_of(x: Any) -> np.ndarray:
    """Row numbers for half the rows of an array."""
    return row_numbers(x.shape[0])


def prepare_images(channels: int, side: int, count: int) -> dict[str, Any]:
    """NHWC to NCHW."""
    x = np.random.default_rng(0).normal(size=(count, side, side, channels)).astype(dtype())
    ours = rv.Tensor(x)
    contenders: dict[str, Any] = {
        "ranvier": lambda: rv.ops.transpose(ours, (0, 3, 1, 2)),
        "numpy": lambda: np.ascontiguousarray(x.transpose(0, 3, 1, 2)),
    }
    if torch is not None:
        theirs = torch.from_numpy(x)
        contenders["torch"] = lambda: theirs.permute(0, 3, 1, 2).contiguous()
    return contenders


def prepare_labels(rows: int, classes: int) -> dict[str, Any]:
    """Labels to rows with a one."""
    labels = np.random.default_rng(0).integers(0, classes, rows)
    ours = rv.Tensor(labels)
    contenders: dict[str, Any] = {
        "ranvier": lambda: rv.ops.one_hot(ours, classes),
        "numpy": lambda: np.eye(classes, dtype=np.float32)[labels],
    }
    if torch is not None:
        theirs = torch.from_numpy(labels)
        contenders["torch"] = lambda: torch.nn.functional.one_hot(theirs, classes)
    return contenders


ops = rv.ops
BENCHES = [
    bench("transpose", ops.transpose, lambda x: np.ascontiguousarray(x.T), lambda x: x.T.contiguous()),
    OpBench(
        name="transpose of images",
        shapes=({"channels": 3, "side": 150, "count": 20}, {"channels": 64, "side": 28, "count": 32}),
        prepare=prepare_images,
        flops=lambda channels, side, count: 0,
        bytes=lambda channels, side, count: 8 * channels * side * side * count,
    ),
    bench("reshape", lambda x: ops.reshape(x, (-1,)), lambda x: x.reshape(-1), lambda x: x.reshape(-1), -1),
    bench("expand_dims", lambda x: ops.expand_dims(x, 1), lambda x: x[:, None], lambda x: x.unsqueeze(1), -1),
    bench("squeeze", ops.squeeze, np.squeeze, lambda x: x.squeeze(), -1),
    bench(
        "broadcast_to",
        lambda x: ops.broadcast_to(x, (4, *x.shape)),
        lambda x: np.broadcast_to(x, (4, *x.shape)).copy(),
        lambda x: x.expand(4, *x.shape).contiguous(),
        4,
    ),
    bench(
        "concatenate",
        lambda x: ops.concatenate([x, x]),
        lambda x: np.concatenate([x, x], -1),
        lambda x: torch.cat([x, x], -1),
        2,
    ),
    bench("stack", lambda x: ops.stack([x, x]), lambda x: np.stack([x, x]), lambda x: torch.stack([x, x]), 2),
    bench(
        "split",
        lambda x: ops.split(x, [(x.shape[1] + 1) // 2], 1),
        lambda x: [part.copy() for part in np.array_split(x, 2, 1)],
        lambda x: [part.contiguous() for part in x.tensor_split(2, 1)],
    ),
    bench("tile", lambda x: ops.tile(x, 2), lambda x: np.tile(x, 2), lambda x: x.tile(2), 2),
    bench(
        "repeat",
        lambda x: ops.repeat(x, 2, 0),
        lambda x: np.repeat(x, 2, 0),
        lambda x: x.repeat_interleave(2, 0),
        2,
    ),
    bench("pad", lambda x: ops.pad(x, 1), lambda x: np.pad(x, 1), lambda x: torch.nn.functional.pad(x, (1, 1, 1, 1))),
    bench("flip", lambda x: ops.flip(x, 1), lambda x: x[:, ::-1].copy(), lambda x: x.flip(1)),
    bench("get_item", lambda x: x[:, 1:], lambda x: x[:, 1:].copy(), lambda x: x[:, 1:].contiguous()),
    bench("take", lambda x: ops.take(x, rows_of(x), 0), lambda x: x[rows_of(x)], lambda x: x[rows_of(x)], 0.5),
    bench(
        "scatter_add",
        lambda x: ops.scatter_add(x, rows_of(x), x[: x.shape[0] // 2]),
        lambda x: np.add.at(x.copy(), rows_of(x), x[: x.shape[0] // 2]),
        lambda x: x.index_add(0, torch.from_numpy(rows_of(x)), x[: x.shape[0] // 2]),
        1.5,
    ),
    OpBench(
        name="one_hot",
        shapes=({"rows": 128, "classes": 10}, {"rows": 4096, "classes": 1000}),
        prepare=prepare_labels,
        flops=lambda rows, classes: 0,
        bytes=lambda rows, classes: 4 * rows * classes,
    ),
    bench(
        "zeros",
        lambda x: ops.zeros(x.shape, x.dtype),
        lambda x: np.zeros(x.shape, x.dtype),
        lambda x: torch.zeros(x.shape, dtype=x.dtype),
        0,
    ),
    bench(
        "ones",
        lambda x: ops.ones(x.shape, x.dtype),
        lambda x: np.ones(x.shape, x.dtype),
        lambda x: torch.ones(x.shape, dtype=x.dtype),
        0,
    ),
    bench(
        "full",
        lambda x: ops.full(x.shape, 2.5, x.dtype),
        lambda x: np.full(x.shape, 2.5, x.dtype),
        lambda x: torch.full(x.shape, 2.5, dtype=x.dtype),
        0,
    ),
    bench("zeros_like", ops.zeros_like, np.zeros_like, lambda x: torch.zeros_like(x), 0),
    bench("ones_like", ops.ones_like, np.ones_like, lambda x: torch.ones_like(x), 0),
    bench("arange", lambda x: ops.arange(x.size), lambda x: np.arange(x.size), lambda x: torch.arange(x.numel()), 0),
]
