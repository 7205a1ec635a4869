"""Images cut, padded, in pieces; and seen at places that are given, or computed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier import random
from ranvier._names import unknown
from ranvier.ops.elementwise import abs as absolute
from ranvier.ops.elementwise import cast, clip, greater_equal, less_equal, logical_and, where
from ranvier.ops.image.filters import gaussian_blur
from ranvier.ops.image.layout import as_given, channels_last, floating, floor, like, rounded
from ranvier.ops.image.warp import AffineTransform
from ranvier.ops.shape import concatenate, expand_dims, get_item, pad, reshape, take
from ranvier.tensor import Tensor, as_tensor

_FILL_MODES = ("constant", "nearest", "wrap", "mirror", "reflect")
_ORDERS = {"nearest": 0, "bilinear": 1}


def _margins(
    op: str, kind: str, before: tuple[str, Any], after: tuple[str, Any], target: tuple[str, Any], difference: Any
) -> tuple[int, int]:
    """What is cut off or added before and after: two of three numbers are given; ``difference(target)`` is both."""
    given = [value is not None for _, value in (before, after, target)]
    if given.count(True) != 2:
        names = ", ".join(name for name, _ in (before, after, target))
        raise ValueError(f"{op}: exactly two of {names} must be given")
    first, last = before[1], after[1]
    if first is None:
        first = difference(target[1]) - last
    if last is None:
        last = difference(target[1]) - first
    if first < 0 or last < 0:
        raise ValueError(f"{op}: {kind} must not be negative, got {before[0]}={first}, {after[0]}={last}")
    return int(first), int(last)


def crop_images(
    images: Any,
    top_cropping: int | None = None,
    left_cropping: int | None = None,
    bottom_cropping: int | None = None,
    right_cropping: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images (N, H, W, C), or one (H, W, C), without what lies beyond a rectangle; any dtype.

    Of top, bottom and target height exactly two are given, and of left, right and target width. Differentiable, twice.
    Raises ValueError otherwise, and where that would be more than there is. Source: Keras ``ops.image.crop_images``.

    >>> import ranvier as rv
    >>> rv.ops.image.crop_images(rv.ops.ones((5, 6, 1)), 1, 2, target_height=3, target_width=2).shape
    (3, 2, 1)
    """
    batch, single, first = channels_last("crop_images", images, data_format)
    height, width = batch.shape[1:3]
    top, bottom = _margins("crop_images", "croppings", ("top_cropping", top_cropping),
                           ("bottom_cropping", bottom_cropping), ("target_height", target_height),
                           lambda target: height - target)  # fmt: skip
    left, right = _margins("crop_images", "croppings", ("left_cropping", left_cropping),
                           ("right_cropping", right_cropping), ("target_width", target_width),
                           lambda target: width - target)  # fmt: skip
    if top + bottom > height or left + right > width:
        raise ValueError(
            f"crop_images: {top} + {bottom} rows and {left} + {right} columns are more than shape {batch.shape} has"
        )
    part = get_item(batch, (slice(None), slice(top, height - bottom), slice(left, width - right)))
    return as_given(part, single, first)


def pad_images(
    images: Any,
    top_padding: int | None = None,
    left_padding: int | None = None,
    bottom_padding: int | None = None,
    right_padding: int | None = None,
    target_height: int | None = None,
    target_width: int | None = None,
    data_format: str | None = None,
) -> Tensor:
    """Images (N, H, W, C), or one (H, W, C), with zeros around them; any dtype.

    Of top, bottom and target height exactly two are given, and of left, right and target width. Differentiable, twice.
    Raises ValueError otherwise. Source: Keras ``ops.image.pad_images``.

    >>> import ranvier as rv
    >>> rv.ops.image.pad_images(rv.ops.ones((2, 2, 1)), 1, 2, target_height=4, target_width=5).shape
    (4, 5, 1)
    """
    batch, single, first = channels_last("pad_images", images, data_format)
    height, width = batch.shape[1:3]
    rows = _margins("pad_images", "paddings", ("top_padding", top_padding), ("bottom_padding", bottom_padding),
                    ("target_height", target_height), lambda target: target - height)  # fmt: skip
    columns = _margins("pad_images", "paddings", ("left_padding", left_padding), ("right_padding", right_padding),
                       ("target_width", target_width), lambda target: target - width)  # fmt: skip
    return as_given(pad(batch, ((0, 0), rows, columns, (0, 0))), single, first)


def extract_patches(
    images: Any,
    size: Any,
    strides: Any = None,
    dilation_rate: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Patches of images (N, H, W, C), or of one: (N, rows, columns, height * width * C), each patch row by row.

    ``size`` (height, width); ``strides`` between patches (default: ``size``); ``dilation_rate`` between the pixels of
    one; ``padding`` ``"valid"`` or ``"same"`` (zeros). Any dtype. Differentiable, twice. Raises ValueError for other
    ranks or paddings. Source: Keras ``ops.image.extract_patches``.

    >>> import ranvier as rv
    >>> rv.ops.image.extract_patches(rv.ops.ones((1, 6, 6, 3)), 2).shape
    (1, 3, 3, 12)
    """
    if padding not in ("valid", "same"):
        raise ValueError(f"extract_patches: padding must be 'valid' or 'same', got {padding!r}")
    height, width = _two("size", size)
    steps, gaps = _two("strides", strides or size), _two("dilation_rate", dilation_rate)
    batch, single, first = channels_last("extract_patches", images, data_format)
    spans = [(side - 1) * gap + 1 for side, gap in zip((height, width), gaps, strict=True)]
    if padding == "same":
        lacking = [max(0, (-(-n // step) - 1) * step + span - n)
                   for n, step, span in zip(batch.shape[1:3], steps, spans, strict=True)]  # fmt: skip
        batch = pad(batch, ((0, 0), *((n // 2, n - n // 2) for n in lacking), (0, 0)))
    counts = [(n - span) // step + 1 for n, step, span in zip(batch.shape[1:3], steps, spans, strict=True)]
    if min(counts) < 1:
        raise ValueError(f"extract_patches: patches of {height}x{width} do not fit into shape {batch.shape}")

    def every(axis: int, offset: int) -> slice:
        start = offset * gaps[axis]
        return slice(start, start + (counts[axis] - 1) * steps[axis] + 1, steps[axis])

    pixels = [
        get_item(batch, (slice(None), every(0, i), every(1, j)))
        for i, j in itertools.product(range(height), range(width))
    ]
    return as_given(concatenate(pixels, axis=-1), single, first)


def _two(name: str, value: Any) -> tuple[int, int]:
    sides = (value, value) if isinstance(value, int) else tuple(value)
    if len(sides) != 2 or min(sides) < 1:
        raise ValueError(f"extract_patches: {name} must be one or two positive numbers, got {value!r}")
    return int(sides[0]), int(sides[1])


def homography(start_points: Any, end_points: Any) -> np.ndarray:
    """(N, 8) transforms under which each end point shows its start point; points (N, 4, 2) are (x, y)."""
    start, end = (np.asarray(p.numpy() if isinstance(p, Tensor) else p, np.float64) for p in (start_points, end_points))
    equations = np.zeros((len(start), 4, 2, 8))
    equations[:, :, 0, :2], equations[:, :, 0, 2] = end, 1
    equations[:, :, 1, 3:5], equations[:, :, 1, 5] = end, 1
    equations[:, :, :, 6:] = -start[..., None] * end[:, :, None]
    return np.linalg.solve(equations.reshape(-1, 8, 8), start.reshape(-1, 8, 1))[..., 0]


def perspective_transform(
    images: Any,
    start_points: Any,
    end_points: Any,
    interpolation: str = "bilinear",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images (N, H, W, C), or one, seen in perspective: ``start_points`` appear at ``end_points``.

    Points are four (x, y), (4, 2) for all images or (N, 4, 2); outside lies ``fill_value``. ``interpolation`` is
    ``"bilinear"`` or ``"nearest"``. Differentiable in ``images``, twice; the points are read on the host. Raises
    ValueError for other shapes or names, and LinAlgError for points of which three lie on a line.
    Source: Keras ``ops.image.perspective_transform``.

    >>> import ranvier as rv
    >>> corners = [[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [2.0, 1.0]]
    >>> moved = [[1.0, 0.0], [3.0, 0.0], [1.0, 1.0], [3.0, 1.0]]
    >>> rv.ops.image.perspective_transform([[[1.0], [2.0], [3.0]]], corners, moved).numpy()[0, :, 0].round(4)
    array([0., 1., 2.], dtype=float32)
    """
    if interpolation not in _ORDERS:
        raise ValueError(f"perspective_transform: {unknown('interpolation', str(interpolation), tuple(_ORDERS))}")
    shapes = [np.shape(p) for p in (start_points, end_points)]
    if shapes[0] != shapes[1] or shapes[0][-2:] != (4, 2) or len(shapes[0]) not in (2, 3):
        raise ValueError(
            "perspective_transform: start_points and end_points must both be (4, 2) or (N, 4, 2) but are "
            f"{shapes[0]} and {shapes[1]}"
        )
    batch, single, first = channels_last("perspective_transform", images, data_format)
    values = floating(batch)
    start, end = (reshape(as_tensor(p, "float64"), (-1, 4, 2)) for p in (start_points, end_points))
    transforms = Tensor(homography(start, end), device=values.device)
    seen = AffineTransform.apply(
        values, transforms, interpolation=interpolation, fill_mode="grid-constant", fill_value=float(fill_value)
    )
    return as_given(like(seen, batch.dtype), single, first)


def _index(places: Tensor, size: int, fill_mode: str) -> tuple[Tensor, Tensor | None]:
    """Whole places as indices of an axis (float64), and whether they are in it, where that matters."""
    if fill_mode == "constant":
        known = logical_and(greater_equal(places, 0.0), less_equal(places, size - 1.0))
        return clip(places, 0.0, size - 1.0), known
    if fill_mode == "nearest":
        return clip(places, 0.0, size - 1.0), None
    if fill_mode == "wrap":
        return places - size * floor(places / size), None
    if fill_mode == "reflect":  # d c b a | a b c d | d c b a
        rest = places + 0.5
        rest = rest - 2 * size * floor(rest / (2 * size))
        return size - absolute(rest - size) - 0.5, None
    if size == 1:
        return places * 0.0, None
    last = size - 1  # mirror: d c b | a b c d | c b a
    rest = places - 2 * last * floor(places / (2 * last))
    return last - absolute(rest - last), None


def _sampled(
    pixels: Tensor, sizes: Sequence[int], places: Sequence[Tensor], base: Any, order: int, fill_mode: str, fill: float
) -> Tensor:
    """Rows of ``pixels`` (any, C), which lie in an array of ``sizes``, at ``places``: (*places, C).

    ``base`` is added to the number of a row: where the image of each place begins.
    """
    nodes: list[list[tuple[Tensor, Tensor | None, Any]]] = []
    for place, size in zip(places, sizes, strict=True):
        if order == 0:
            nodes.append([(*_index(rounded(place), size, fill_mode), None)])
            continue
        low = floor(place)
        after = place - low
        nodes.append([(*_index(low, size, fill_mode), 1.0 - after), (*_index(low + 1.0, size, fill_mode), after)])
    strides = [int(np.prod(sizes[axis + 1 :])) for axis in range(len(sizes))]
    total: Any = None
    for corner in itertools.product(*nodes):
        row: Any = base
        share: Any = None
        inside: Any = None
        for (index, known, weight), stride in zip(corner, strides, strict=True):
            row = row + index * stride
            share = weight if share is None else share * weight
            inside = known if inside is None else logical_and(inside, known)
        value = take(pixels, cast(row, "int64"), axis=0)
        if inside is not None:
            value = where(expand_dims(inside, -1), value, fill)
        if share is not None:
            value = value * cast(expand_dims(share, -1), value.dtype)
        total = value if total is None else total + value
    return total


def map_coordinates(
    inputs: Any, coordinates: Any, order: int, fill_mode: str = "constant", fill_value: float = 0
) -> Tensor:
    """``inputs``, an array of any rank, at ``coordinates`` (rank, ...): the values, in the shape of those places.

    ``order`` 0 takes the nearest element, 1 interpolates linearly between the neighbours along every axis;
    ``fill_mode`` as for ``affine_transform``. Integers are rounded. Differentiable in both. Raises ValueError for
    other orders, modes or shapes. Source: Keras ``ops.image.map_coordinates``, SciPy ``ndimage.map_coordinates``.

    >>> import ranvier as rv
    >>> rv.ops.image.map_coordinates([[1.0, 2.0], [3.0, 4.0]], [[0.5, 1.0], [0.5, 0.0]], order=1).numpy()
    array([2.5, 3. ], dtype=float32)
    """
    if fill_mode not in _FILL_MODES:
        raise ValueError(f"map_coordinates: {unknown('fill_mode', str(fill_mode), _FILL_MODES)}")
    if order not in (0, 1):
        raise ValueError(f"map_coordinates: order must be 0 or 1, got {order!r}")
    x, places = as_tensor(inputs), as_tensor(coordinates)
    if places.ndim < 2 or places.shape[0] != x.ndim:
        raise ValueError(
            f"map_coordinates: coordinates must be ({x.ndim}, ...) for inputs of shape {x.shape} but their shape is "
            f"{places.shape}"
        )
    places = cast(places, "float64")
    axes = [places[i] for i in range(x.ndim)]
    values = reshape(floating(x), (-1, 1))
    found = _sampled(values, x.shape, axes, 0.0, order, fill_mode, float(fill_value))
    return like(reshape(found, places.shape[1:]), x.dtype)


def elastic_transform(
    images: Any,
    alpha: float = 20.0,
    sigma: float = 5.0,
    interpolation: str = "bilinear",
    fill_mode: str = "reflect",
    fill_value: float = 0.0,
    seed: Any = None,
    data_format: str | None = None,
) -> Tensor:
    """Images (N, H, W, C), or one, under smooth random displacements (Simard and others 2003).

    Normal noise times ``sigma``, smoothed by a Gaussian of ``sigma`` pixels, times ``alpha`` is how far each pixel is
    moved. ``seed`` is an integer, a generator or None. Differentiable in ``images``. Raises ValueError for other names.
    Source: Keras ``ops.image.elastic_transform``.

    >>> import ranvier as rv
    >>> rv.ops.image.elastic_transform(rv.ops.ones((8, 8, 1)), 2.0, 1.0, seed=1).shape
    (8, 8, 1)
    """
    if interpolation not in _ORDERS:
        raise ValueError(f"elastic_transform: {unknown('interpolation', str(interpolation), tuple(_ORDERS))}")
    if fill_mode not in _FILL_MODES:
        raise ValueError(f"elastic_transform: {unknown('fill_mode', str(fill_mode), _FILL_MODES)}")
    batch, single, first = channels_last("elastic_transform", images, data_format)
    values = floating(batch)
    noise = random.generator_of(seed).normal((2, *values.shape[:3]), 0.0, float(sigma), values.dtype)
    moves = reshape(displacements(noise, float(alpha), float(sigma)), (2, *values.shape[:3]))
    return as_given(like(displaced(values, moves, interpolation, fill_mode, fill_value), batch.dtype), single, first)


def displacements(noise: Tensor, alpha: float, sigma: float) -> Tensor:
    """Noise (2, N, H, W), smoothed and scaled: how far each pixel is moved along the width and the height."""
    side = int(6 * sigma) | 1
    planes = reshape(noise, (-1, *noise.shape[2:], 1))
    return gaussian_blur(planes, (side, side), (sigma, sigma)) * alpha


def displaced(images: Tensor, moves: Tensor, interpolation: str, fill_mode: str, fill_value: float) -> Tensor:
    """Images (N, H, W, C), each pixel showing the place ``moves`` (2: along the width, the height; N, H, W) away."""
    n, height, width, channels = images.shape
    there = cast(moves, "float64")
    columns = there[0] + Tensor(np.arange(float(width)), device=images.device)
    rows = there[1] + Tensor(np.arange(float(height))[:, None], device=images.device)
    base = Tensor(np.arange(float(n))[:, None, None] * (height * width), device=images.device)
    pixels = reshape(images, (n * height * width, channels))
    how = (_ORDERS[interpolation], fill_mode, float(fill_value))
    return _sampled(pixels, (height, width), (rows, columns), base, *how)
