"""Images seen through transforms, as augmentation turns and shifts them."""

from __future__ import annotations

from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, dtype, torch

SHAPES = (
    {"images": 32, "size": 150, "channels": 3},
    {"images": 32, "size": 224, "channels": 3},
    {"images": 128, "size": 28, "channels": 1},
)


def transforms(images: int, size: int) -> np.ndarray:
    """Turned by up to 40 degrees about the middle, (images, 8)."""
    angles = np.deg2rad(np.random.default_rng(1).uniform(-40, 40, images))
    cos, sin, middle = np.cos(angles), np.sin(angles), (size - 1) / 2
    zero = np.zeros(images)
    return np.stack(
        [cos, sin, middle - middle * (cos + sin), -sin, cos, middle - middle * (cos - sin), zero, zero], axis=1
    )


def prepare(images: int, size: int, channels: int) -> dict[str, Any]:
    """Bilinear; outside, the nearest pixel."""
    x = np.random.default_rng(0).uniform(0, 255, (images, size, size, channels)).astype(dtype())
    t = transforms(images, size)
    ours = rv.Tensor(x), rv.Tensor(t)
    how = ("bilinear", "nearest", 0.0)
    contenders: dict[str, Any] = {
        "ranvier": lambda: rv.ops.image.affine_transform(*ours, fill_mode="nearest"),
        "numpy": lambda: rv.reference.affine_transform_forward(x, t, *how),
    }
    if torch is not None:
        theirs = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).contiguous(memory_format=torch.channels_last)
        turns = torch.from_numpy(np.stack([t[:, :2], t[:, 3:5]], axis=1)).to(theirs.dtype)
        matrices = torch.cat([turns, torch.zeros(images, 2, 1, dtype=theirs.dtype)], 2)

        def sampled() -> Any:
            grid = torch.nn.functional.affine_grid(matrices, list(theirs.shape), align_corners=True)
            return torch.nn.functional.grid_sample(theirs, grid, padding_mode="border", align_corners=True)

        contenders["torch"] = sampled
    return contenders


BENCHES = [
    OpBench(
        name="affine_transform",
        shapes=SHAPES,
        prepare=prepare,
        flops=lambda images, size, channels: images * size**2 * (12 + 10 * channels),
        bytes=lambda images, size, channels: 8 * images * size**2 * channels,
    ),
]
