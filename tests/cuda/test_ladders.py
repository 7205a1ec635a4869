"""The steps of the teaching ladders on a GPU give what NumPy gives."""

from __future__ import annotations

import numpy as np
import pytest

from ranvier import _core

NAMES = ("gemm", "sum", "softmax", "transpose")


@pytest.mark.parametrize("name", NAMES)
def test_every_step_is_right(name: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 128)).astype(np.float32)
    y = rng.normal(size=(128, 192)).astype(np.float32)
    flat = x.reshape(-1)
    there = {key: _core.Array.from_numpy(v, True, "cuda") for key, v in {"x": x, "y": y, "flat": flat}.items()}
    exponents = np.exp(x - x.max(1, keepdims=True))
    softmax = exponents / exponents.sum(1, keepdims=True)
    expected = {"gemm": x @ y, "sum": flat.sum(dtype=np.float64), "softmax": softmax, "transpose": x.T}[name]
    arguments = {"gemm": ("x", "y"), "sum": ("flat",), "softmax": ("x",), "transpose": ("x",)}[name]
    for step, label in enumerate(_core._ladder_steps("cuda")[name]):
        found = getattr(_core, f"_ladder_{name}")(step, *(there[key] for key in arguments)).numpy()
        tolerance = 5e-2 if label == "tensor cores" else 1e-3
        np.testing.assert_allclose(found.reshape(np.shape(expected)), expected, rtol=tolerance, atol=10 * tolerance,
                                   err_msg=f"{name}: {label}")  # fmt: skip
