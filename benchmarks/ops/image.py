"""Images seen through transforms, of another size, and under what is built of other ops."""

from __future__ import annotations

from typing import Any

import numpy as np

import ranvier as rv
from ranvier.bench import OpBench, dtype, odd, torch
from ranvier.ops.image.bands import resizing

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


RESIZES = (
    {"images": 8, "size": 56, "channels": 64, "to": 112, "interpolation": "bilinear", "antialias": False},
    {"images": 32, "size": 256, "channels": 3, "to": 150, "interpolation": "bilinear", "antialias": True},
    {"images": 32, "size": 150, "channels": 3, "to": 224, "interpolation": "bicubic", "antialias": False},
    {"images": 128, "size": 28, "channels": 1, "to": 56, "interpolation": "bilinear", "antialias": False},
    {"images": 8, "size": 32, "channels": 64, "to": 64, "interpolation": "nearest", "antialias": False},
)


def prepare_resize(
    images: int, size: int, channels: int, to: int, interpolation: str, antialias: bool
) -> dict[str, Any]:
    """From one square to another."""
    x = np.random.default_rng(0).uniform(0, 255, (images, size, size, channels)).astype(dtype())
    ours = rv.Tensor(x)
    contenders: dict[str, Any] = {
        "ranvier": lambda: rv.ops.image.resize(ours, (to, to), interpolation, antialias),
    }
    if torch is not None:
        theirs = torch.from_numpy(x).permute(0, 3, 1, 2)
        mode = "nearest-exact" if interpolation == "nearest" else interpolation
        contenders["torch"] = lambda: torch.nn.functional.interpolate(theirs, (to, to), mode=mode, antialias=antialias)
    return contenders


def resize_flops(images: int, size: int, channels: int, to: int, interpolation: str, antialias: bool) -> int:
    """Rows of the image first, then columns."""
    taps = resizing(size, to, interpolation, antialias).weights.shape[1]
    return 2 * images * to * (size + to) * taps * channels if taps > 1 else 0


# Ops that are built of others, on images of 3 channels in [0, 1): how many operations a number costs, and the call.
CORNERS = [[0.0, 0.0], [149.0, 0.0], [0.0, 149.0], [149.0, 149.0]]
MOVED = [[9.0, 3.0], [140.0, 0.0], [-6.0, 150.0], [160.0, 130.0]]
BUILT: dict[str, tuple[int, Any]] = {
    "crop_images": (0, lambda x: rv.ops.image.crop_images(x, 10, 10, 10, 10)),
    "pad_images": (0, lambda x: rv.ops.image.pad_images(x, 10, 10, 10, 10)),
    "extract_patches": (0, lambda x: rv.ops.image.extract_patches(x, 10)),
    "gaussian_blur": (12, lambda x: rv.ops.image.gaussian_blur(x, (3, 3), (1.0, 1.0))),
    "sobel_edges": (36, lambda x: rv.ops.image.sobel_edges(x)),
    "ssim": (230, lambda x: rv.ops.image.ssim(x, x)),
    "rgb_to_grayscale": (2, lambda x: rv.ops.image.rgb_to_grayscale(x)),
    "rgb_to_hsv": (8, lambda x: rv.ops.image.rgb_to_hsv(x)),
    "hsv_to_rgb": (10, lambda x: rv.ops.image.hsv_to_rgb(x)),
    "perspective_transform": (14, lambda x: rv.ops.image.perspective_transform(x, CORNERS, MOVED)),
    "elastic_transform": (300, lambda x: rv.ops.image.elastic_transform(x, 10.0, 4.0, seed=1)),
    "map_coordinates": (40, lambda x: rv.ops.image.map_coordinates(x[0, :, :, 0], PLACES, 1)),
    "scale_and_translate": (
        8,
        lambda x: rv.ops.image.scale_and_translate(x, x.shape, (0.9, 1.1), (3.0, -3.0), (1, 2), "linear"),
    ),
}
PLACES = np.random.default_rng(2).uniform(0, 149, (2, 150 * 150))


def built(op: str) -> OpBench:
    """Beside the same op on the NumPy reference of what it is built of."""
    flops, call = BUILT[op]

    def prepare_built(images: int, size: int, channels: int) -> dict[str, Any]:
        x = np.random.default_rng(0).uniform(0, 1, (images, size, size, channels)).astype(dtype())
        ours, plain = rv.Tensor(x), rv.Tensor(x, device="reference")
        return {"ranvier": lambda: call(ours), "numpy": lambda: call(plain)}

    return OpBench(
        name=op,
        shapes=({"images": 8, "size": 150, "channels": 3},),
        draw=lambda rng: {"images": odd(rng, 1, 9), "size": odd(rng, 31, 301), "channels": 3},
        prepare=prepare_built,
        flops=lambda images, size, channels: flops * images * size**2 * channels,
        bytes=lambda images, size, channels: 8 * images * size**2 * channels,
    )


BENCHES = [
    OpBench(
        name="affine_transform",
        shapes=SHAPES,
        prepare=prepare,
        flops=lambda images, size, channels: images * size**2 * (12 + 10 * channels),
        bytes=lambda images, size, channels: 8 * images * size**2 * channels,
    ),
    OpBench(
        name="resize",
        shapes=RESIZES,
        prepare=prepare_resize,
        flops=resize_flops,
        bytes=lambda images, size, channels, to, **_: 4 * images * channels * (size**2 + to**2),
    ),
    *(built(op) for op in BUILT),
]
