"""Images of bytes on the simulator: the CPU's, to one step of rounding in float32."""

from __future__ import annotations

import numpy as np
import pytest

import ranvier as rv

MODES = ("constant", "nearest", "reflect", "mirror", "wrap")


@pytest.mark.parametrize("mode", MODES)
def test_bytes_as_on_the_cpu(mode: str) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 7, 5, 3)).astype(np.uint8)
    transforms = np.array([[0.9, 0.3, -1.0, -0.2, 1.1, 0.7, 0.01, 0.0], [1, 0, 2.5, 0, 1, -3.5, 0, 0]], np.float64)
    for interpolation in ("bilinear", "nearest"):
        on = {}
        for device in ("cpu", "sim"):
            with rv.device(device):
                x, t = rv.Tensor(images, device=device), rv.Tensor(transforms, device=device)
                on[device] = rv.ops.affine_transform(x, t, interpolation, mode, 17.0).numpy().astype(int)
        assert np.abs(on["sim"] - on["cpu"]).max() <= 1
