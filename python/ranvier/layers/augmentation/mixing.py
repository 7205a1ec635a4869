"""Images mixed with others of the batch, and parts of them erased."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier import ops
from ranvier.layers.augmentation.base import ImageLayer, each, factor_range
from ranvier.layers.augmentation.sampling import beta
from ranvier.tensor import Tensor, as_tensor


class _Boxes(ImageLayer):
    """What takes random rectangles of images, each of given parts of the height and of the width."""

    def _bounds(self, length: int, share: Tensor, seed: Any) -> tuple[Tensor, Tensor]:
        side = share * float(length)
        start = self._uniform(share.shape, (0, 1), seed) * (length - side)
        return start, start + side

    def _mask(self, shape: Sequence[int], across: Sequence[Tensor], down: Sequence[Tensor]) -> Tensor:
        """True in the rectangles (0 <= pixel - start < side), in the shape of the images."""
        rows, columns = (2, 3) if self.data_format == "channels_first" else (1, 2)

        def inside(axis: int, ends: Sequence[Tensor]) -> Tensor:
            sides = [1, 1, 1, 1]
            sides[axis] = shape[axis]
            pixels = Tensor(np.arange(shape[axis]).reshape(sides), dtype=self.dtype)
            return ops.logical_and(pixels >= each(ends[0]), pixels < each(ends[1]))

        return ops.broadcast_to(ops.logical_and(inside(columns, across), inside(rows, down)), shape)

    def _batch_shape(self, data: Any) -> tuple[int, ...]:
        shape = tuple((data["images"] if isinstance(data, dict) else data).shape)
        return (1, *shape) if len(shape) == 3 else shape


class CutMix(_Boxes):
    """Puts rectangles of other images of the batch into images; labels are mixed by area. Passes one image through.

    Source: Keras ``CutMix`` (Yun and others 2019).

    >>> import ranvier as rv
    >>> batch = {"images": rv.ops.ones((4, 8, 8, 3)), "labels": rv.ops.one_hot([0, 1, 2, 1], 3)}
    >>> rv.layers.CutMix(seed=1)(batch)["labels"].sum(-1).numpy().round(4)
    array([1., 1., 1., 1.], dtype=float32)
    """

    settings = ("factor", "seed")

    def __init__(
        self, factor: Any = 1.0, seed: int | None = None, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = factor_range("CutMix", "factor", factor, (0, 1))

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        shape = self._batch_shape(data)
        if not training or len((data["images"] if isinstance(data, dict) else data).shape) == 3:
            return None
        count, height, width = self._shape(data)
        alpha = self._uniform((), self.factor, seed) + 1e-6
        kept = beta(self._random(seed), (count,), ops.minimum(alpha, 1.0), self.dtype)
        side = ops.sqrt(1.0 - kept)
        across, down = self._bounds(width, side, seed), self._bounds(height, side, seed)
        area = (across[1] - across[0]) * (down[1] - down[0])
        return {
            "permutation_order": self._random(seed).permutation(count),
            "batch_masks": self._mask(shape, across, down),
            "mix_weight": each(1.0 - area / float(height * width)),
        }

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = self._images(images)
        if not training or transformation is None:
            return images
        others = ops.take(images, as_tensor(transformation["permutation_order"]), axis=0)
        return ops.where(as_tensor(transformation["batch_masks"]), others, images)

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        return _mixed(labels, transformation) if training and transformation is not None else labels

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        return self.transform_images(segmentation_masks, transformation, training)


def _mixed(values: Any, transformation: Any) -> Tensor:
    """Each row with that which the permutation names, by weight."""
    rows = as_tensor(values)
    weight = each(transformation["mix_weight"], rows.ndim).astype(rows.dtype)
    others = ops.take(rows, as_tensor(transformation["permutation_order"]), axis=0)
    return weight * rows + (1.0 - weight) * others


class MixUp(ImageLayer):
    """Means of each image, and label, with another of the batch; the weights are drawn from beta(alpha, alpha).

    Source: Keras ``MixUp`` (Zhang and others 2017).
    """

    settings = ("alpha", "seed")

    def __init__(
        self, alpha: float = 0.2, data_format: str | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        if not alpha > 0:
            raise ValueError(f"MixUp: alpha must be positive, got {alpha!r}")
        self.alpha = alpha

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        count, _, _ = self._shape(data)
        order = self._random(seed).permutation(count)
        return {"mix_weight": beta(self._random(seed), (count,), self.alpha, self.dtype), "permutation_order": order}

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = self._images(images)
        return _mixed(images, transformation) if training and transformation is not None else images

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        return _mixed(labels, transformation) if training and transformation is not None else labels

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        return self.transform_images(segmentation_masks, transformation, training)


class RandomErasing(_Boxes):
    """Fills a rectangle of images, with a probability within ``factor``; its area is within ``scale`` of the image's.

    ``fill_value`` is a number, one for each of three channels, or None for noise. Source: Keras ``RandomErasing``.
    """

    settings = ("factor", "scale", "fill_value", "value_range", "seed")

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = (0.02, 0.33),
        fill_value: Any = None,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = factor_range("RandomErasing", "factor", factor, (0, 1))
        self.scale = factor_range("RandomErasing", "scale", scale, (0, 1))
        self.fill_value = fill_value
        self.value_range = list(value_range)
        if isinstance(fill_value, (tuple, list)) and len(fill_value) != 3:
            raise ValueError(f"RandomErasing: fill_value must be None or one or three numbers, got {fill_value!r}")

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        shape = self._batch_shape(data)
        count, height, width = self._shape(data)
        shares = ops.sqrt(self._uniform((count, 2), self.scale, seed))
        across, down = self._bounds(width, shares[:, 0], seed), self._bounds(height, shares[:, 1], seed)
        chance = self._uniform((count,), self.factor, seed)
        return {
            "apply_erasing": self._uniform((count,), (0, 1), seed) < chance,
            "batch_masks": self._mask(shape, across, down),
            "fill_value": ops.clip(self._fill(shape, seed), *(float(v) for v in self.value_range)),
        }

    def _fill(self, shape: tuple[int, ...], seed: Any) -> Tensor:
        if self.fill_value is None:
            return self._random(seed).normal(shape, dtype=self.dtype) * float(self.value_range[1])
        values = np.array(self.fill_value, np.float64)
        if values.ndim and self.data_format == "channels_first":
            values = values[:, None, None]
        return ops.broadcast_to(Tensor(values, dtype=self.dtype), shape)

    def transform_images(self, images: Any, transformation: Any = None, training: bool = True) -> Any:
        images = self._images(images)
        if not training or transformation is None:
            return images
        fill = as_tensor(transformation["fill_value"]).astype(self.dtype)
        erased = ops.where(as_tensor(transformation["batch_masks"]), fill, images)
        return ops.where(each(transformation["apply_erasing"]), erased, images)
