"""Sizes and values that do not depend on chance: resizing, middles, contrast, equal histograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranvier import ops
from ranvier.layers.arguments import pair, positive
from ranvier.layers.augmentation.base import ImageLayer, factor_range, rescaled, two_values
from ranvier.ops.image.layout import rounded
from ranvier.tensor import Tensor, as_tensor


class _Sized(ImageLayer):
    """Images of ``height`` x ``width``."""

    height: int
    width: int

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.data_format == "channels_first":
            return (*input_shape[:-2], self.height, self.width)
        return (*input_shape[:-3], self.height, self.width, input_shape[-1])


class Resizing(_Sized):
    """Images of ``height`` x ``width``, as ``rv.ops.image.resize`` makes them. Source: Keras ``Resizing``.

    >>> import ranvier as rv
    >>> rv.layers.Resizing(1, 2)([[[[1.0], [2.0], [3.0], [4.0]]]]).tolist()
    [[[[1.5], [3.5]]]]
    """

    casts_integers = False
    keeps_dtype = True
    settings = (
        "height", "width", "interpolation", "crop_to_aspect_ratio", "pad_to_aspect_ratio", "fill_mode", "fill_value",
        "antialias",
    )  # fmt: skip

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.height, self.width = positive("Resizing", "height", height), positive("Resizing", "width", width)
        self.interpolation = interpolation
        self.crop_to_aspect_ratio, self.pad_to_aspect_ratio = crop_to_aspect_ratio, pad_to_aspect_ratio
        self.fill_mode, self.fill_value = fill_mode, fill_value
        self.antialias = bool(antialias)

    def _resized(self, images: Any, interpolation: str) -> Tensor:
        return ops.image.resize(
            images, (self.height, self.width), interpolation, self.antialias, self.crop_to_aspect_ratio,
            self.pad_to_aspect_ratio, self.fill_mode, self.fill_value, self.data_format,
        )  # fmt: skip

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        return self._resized(images, self.interpolation)

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return self._resized(segmentation_masks, "nearest")


class CenterCrop(_Sized):
    """The middle ``height`` x ``width`` of images; smaller ones are cut to those proportions and resized.

    Source: Keras ``CenterCrop``.
    """

    settings = ("height", "width")

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.height, self.width = positive("CenterCrop", "height", height), positive("CenterCrop", "width", width)

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = self._images(images)
        _, height, width = self._shape(images)
        if height < self.height or width < self.width:
            size = (self.height, self.width)
            return ops.image.resize(images, size, crop_to_aspect_ratio=True, data_format=self.data_format)
        top, left = (height - self.height) // 2, (width - self.width) // 2
        return ops.image.crop_images(
            images, top, left, target_height=self.height, target_width=self.width, data_format=self.data_format
        )

    def transform_segmentation_masks(
        self, segmentation_masks: Any, transformation: Any = None, training: bool = True
    ) -> Any:
        return self.transform_images(segmentation_masks)


class AutoContrast(ImageLayer):
    """Spreads the values of each channel of each image over the whole range. Source: Keras ``AutoContrast``.

    >>> import ranvier as rv
    >>> rv.layers.AutoContrast()([[[[10.0], [20.0], [30.0]]]]).tolist()
    [[[[0.0], [127.5], [255.0]]]]
    """

    settings = ("value_range",)

    def __init__(self, value_range: Any = (0, 255), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.value_range = two_values("AutoContrast", value_range)

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = self._images(images)
        values = rescaled(images, self.value_range, (0, 255))
        low, high = (getattr(ops, extreme)(values, axis=(1, 2), keepdims=True) for extreme in ("min", "max"))
        scale = 255.0 / (high - low)
        spread = rescaled(ops.clip(values * scale - low * scale, 0.0, 255.0), (0, 255), self.value_range)
        return ops.where(ops.isnan(spread), images, spread)


class Solarization(ImageLayer):
    """Adds up to ``addition_factor`` of 255, then inverts what is not below a threshold within ``threshold_factor``.

    Source: Keras ``Solarization``.
    """

    settings = ("addition_factor", "threshold_factor", "value_range", "seed")

    def __init__(
        self,
        addition_factor: Any = 0.0,
        threshold_factor: Any = 0.0,
        value_range: Any = (0, 255),
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        self.addition_factor = factor_range("Solarization", "addition_factor", addition_factor, (0, 1), 0)
        self.threshold_factor = factor_range("Solarization", "threshold_factor", threshold_factor, (0, 1), 0)
        self.value_range = two_values("Solarization", value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        shape = (self._shape(data)[0], 1, 1, 1)
        (a, b), (c, d) = self.addition_factor, self.threshold_factor
        additions = self._uniform(shape, (a, max(a, b * 255)), seed)  # Keras scales the upper ends only
        return {"additions": additions, "thresholds": self._uniform(shape, (c, max(c, d * 255)), seed)}

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._images(images)
        if not training or transformation is None:
            return images
        additions, thresholds = (
            as_tensor(transformation[name]).astype(self.dtype) for name in ("additions", "thresholds")
        )
        values = ops.clip(rescaled(images, self.value_range, (0, 255)) + additions, 0.0, 255.0)
        return rescaled(ops.where(values < thresholds, values, 255.0 - values), (0, 255), self.value_range)


class Equalization(ImageLayer):
    """Gives each channel of a batch values of which there are equally many. Source: Keras ``Equalization``."""

    settings = ("value_range", "bins")

    def __init__(
        self, value_range: Any = (0, 255), bins: int = 256, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = two_values("Equalization", value_range)
        self.bins = positive("Equalization", "bins", bins)

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = self._images(images)
        if not training:
            return images
        axis = 1 if self.data_format == "channels_first" else -1
        values = rescaled(images, self.value_range, (0, 255))
        channels = [self._equal(channel) for channel in ops.split(values, values.shape[axis], axis=axis)]
        return rescaled(ops.concatenate(channels, axis=axis), (0, 255), self.value_range)

    def _equal(self, channel: Tensor) -> Tensor:
        last = float(self.bins - 1)
        places = ops.cast(ops.clip(channel / 255.0 * last, 0.0, last), "int32")
        counted = ops.cast(ops.clip(channel * last / 255.0, 0.0, last), "int32")
        counts = ops.scatter_add(
            ops.zeros((self.bins,), "float64"), ops.reshape(counted, (-1,)), ops.ones((channel.size,), "float64")
        )
        sums = ops.matmul(Tensor(np.tri(self.bins), device=channel.device), counts)
        first = ops.min(ops.where(sums > 0, sums, float("inf")))
        rest = sums[-1] - first
        table = ops.clip(rounded((sums - first) * 255.0 / ops.where(rest > 0, rest, 1.0)), 0.0, 255.0)
        equal = ops.cast(ops.take(table, places, axis=0), channel.dtype)
        return ops.where(rest > 0, equal, channel)  # one value only: as it is


class ContrastLimitedAdaptiveHistogramEqualization(ImageLayer):
    """Equalizes each tile of a grid by its own histogram, no count of which exceeds ``clip_limit`` times the mean.

    Between the middles of tiles their tables are interpolated. ``clip_limit=0`` sets no limit. Source: Keras
    ``ContrastLimitedAdaptiveHistogramEqualization`` (Zuiderveld 1994).

    >>> import ranvier as rv
    >>> rv.layers.ContrastLimitedAdaptiveHistogramEqualization()(rv.ops.ones((16, 16, 3))).shape
    (16, 16, 3)
    """

    settings = ("value_range", "clip_limit", "tile_grid_size")

    def __init__(
        self,
        value_range: Any = (0, 255),
        clip_limit: float = 4.0,
        tile_grid_size: Any = (8, 8),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.value_range = value_range
        self.clip_limit = clip_limit
        self.tile_grid_size = pair("ContrastLimitedAdaptiveHistogramEqualization", "tile_grid_size", tile_grid_size)

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = self._images(images)
        first = self.data_format == "channels_first"
        values = rescaled(ops.transpose(images, (0, 2, 3, 1)) if first else images, self.value_range, (0, 255))
        equal = rescaled(self._equal(ops.clip(values, 0.0, 255.0)), (0, 255), self.value_range)
        return ops.transpose(equal, (0, 3, 1, 2)) if first else equal

    def _equal(self, images: Tensor) -> Tensor:
        count, height, width, channels = images.shape
        rows, columns = self.tile_grid_size
        tall, wide = -(-height // rows), -(-width // columns)
        for axis, (side, padded) in enumerate(((height, tall * rows), (width, wide * columns)), 1):
            if padded > side:
                mirrored = np.pad(np.arange(side), (0, padded - side), mode="symmetric")
                images = ops.take(images, Tensor(mirrored, device=images.device), axis=axis)
        pixels = ops.cast(images, "int64")
        tiles = ops.transpose(ops.reshape(pixels, (count, rows, tall, columns, wide, channels)), (0, 1, 3, 5, 2, 4))
        tables = self._tables(ops.reshape(tiles, (-1, tall * wide)), images.dtype)

        # What pixel (i, j) of image n, channel c takes from the tables around it, flat: ((n, row, column, c), value).
        above, below, down = _around(tall, rows)
        before, after, across = _around(wide, columns)
        n, c = np.arange(count)[:, None, None, None], np.arange(channels)

        def taken(row: np.ndarray, column: np.ndarray) -> Tensor:
            tile = ((n * rows + row[:, None, None]) * columns + column[:, None]) * channels + c
            return ops.take(tables, pixels + Tensor(tile * 256, device=images.device), axis=0)

        shares = down[:, None, None], across[:, None]
        v, h = (Tensor(share, dtype=images.dtype, device=images.device) for share in shares)
        top = taken(above, before) * (1.0 - h) + taken(above, after) * h
        bottom = taken(below, before) * (1.0 - h) + taken(below, after) * h
        return (top * (1.0 - v) + bottom * v)[:, :height, :width]

    def _tables(self, tiles: Tensor, dtype: str) -> Tensor:
        """What every value of every tile (tiles, pixels) becomes, flat."""
        count, area = tiles.shape
        places = tiles + Tensor(np.arange(count)[:, None] * 256, device=tiles.device)
        counts = ops.scatter_add(
            ops.zeros((count * 256,), dtype), ops.reshape(places, (-1,)), ops.ones((count * area,), dtype)
        )
        counts = ops.reshape(counts, (count, 256))
        if self.clip_limit > 0:
            kept = ops.minimum(counts, float(int(self.clip_limit * area / 256)))  # as in Keras on PyTorch
            counts = kept + ops.sum(counts - kept, axis=-1, keepdims=True) / 256.0
        sums = ops.matmul(counts, Tensor(np.tri(256).T.copy(), dtype=dtype, device=tiles.device))
        least = ops.min(sums, axis=-1, keepdims=True)
        rest = area - least
        table = (sums - least) * 255.0 / ops.where(ops.equal(rest, 0.0), 1.0, rest)
        return ops.reshape(ops.clip(table, 0.0, 255.0), (-1,))


def _around(side: int, tiles: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each pixel of an axis of tiles the two whose middles it lies between, and the share of the latter."""
    place = (np.arange(side * tiles) - side / 2) / side
    low = np.floor(place)
    return (*(np.clip(low + k, 0, tiles - 1).astype(np.int64) for k in (0, 1)), place - low)
