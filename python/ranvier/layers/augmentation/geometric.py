"""Random flips, crops, shifts, turns, zooms, shears and views from aside."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ranvier import ops
from ranvier.layers.arguments import positive
from ranvier.layers.augmentation.base import (
    FILL_MODES,
    INTERPOLATIONS,
    GeometricLayer,
    each,
    factor_range,
    known,
)
from ranvier.tensor import Tensor, as_tensor

_FLIPS = ("horizontal", "vertical", "horizontal_and_vertical")


class RandomFlip(GeometricLayer):
    """Flips half of the images, along the axes that ``mode`` names (both together). Source: Keras ``RandomFlip``.

    >>> import ranvier as rv
    >>> rv.layers.RandomFlip("horizontal", seed=4)([[[[1.0], [2.0]]], [[[1.0], [2.0]]]]).numpy()[:, 0, :, 0].tolist()
    [[2.0, 1.0], [1.0, 2.0]]
    """

    settings = ("seed", "mode")

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.mode = known("RandomFlip", "mode", mode, _FLIPS)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        count, _, _ = self._shape(data)
        return {"flips": self._uniform((count, 1, 1, 1), (0, 1), seed) <= 0.5}

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        rows, columns = (-2, -1) if self.data_format == "channels_first" else (-3, -2)
        axes = [axis for axis, name in ((columns, "horizontal"), (rows, "vertical")) if name in self.mode]
        return ops.where(as_tensor(transformation["flips"]), ops.flip(images, axes), images)


class RandomCrop(GeometricLayer):
    """In training, a part of ``height`` x ``width`` of each batch, at a random place.

    Images that are not larger are cut to those proportions and resized. Source: Keras ``RandomCrop``.

    >>> import ranvier as rv
    >>> rv.layers.RandomCrop(2, 3)(rv.ops.ones((4, 5, 5, 1))).shape
    (4, 2, 3, 1)
    """

    settings = ("height", "width", "seed")

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, name=name, **kwargs)
        self.height, self.width = positive("RandomCrop", "height", height), positive("RandomCrop", "width", width)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        _, height, width = self._shape(data)
        if training and height > self.height and width > self.width:
            limits = (height - self.height + 1, width - self.width + 1)
            return tuple(ops.cast(self._uniform((), (0, limit), seed), "int32") for limit in limits)
        tall = max(min(height, int(width * self.height / self.width)), 1)
        wide = max(min(width, int(height * self.width / self.height)), 1)
        return (height - tall) // 2, (width - wide) // 2

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._images(images)
        if not training:  # as in Keras, which leaves them as they are
            return images
        return self._transform_images(images, transformation, "bilinear")

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        axes = (2, 3) if self.data_format == "channels_first" else (1, 2)
        wanted = (self.height, self.width)
        for axis, start, side in zip(axes, transformation, wanted, strict=True):
            size = images.shape[axis]
            if isinstance(start, int):
                side = min(side, size - start)
            rows = Tensor(np.arange(side), dtype="int32", device=images.device) + start
            images = ops.take(images, rows, axis=axis)
        if tuple(images.shape[axis] for axis in axes) != wanted:
            images = ops.image.resize(images, wanted, interpolation, data_format=self.data_format)
        return images

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.data_format == "channels_first":
            return (*input_shape[:-2], self.height, self.width)
        return (*input_shape[:-3], self.height, self.width, input_shape[-1])


class _Transform(GeometricLayer):
    """Images seen through a random transform of the plane: what comes from outside is up to ``fill_mode``."""

    def __init__(self, fill_mode: str, interpolation: str, seed: int | None, fill_value: float, **kwargs: Any) -> None:
        super().__init__(seed=seed, **kwargs)
        self.fill_mode = known(type(self).__name__, "fill_mode", fill_mode, FILL_MODES)
        self.interpolation = known(type(self).__name__, "interpolation", interpolation, INTERPOLATIONS)
        self.fill_value = fill_value

    def matrices(self, transformation: Any, height: int, width: int) -> list[Any]:
        """The eight numbers of each image's transform (N,): tensors, or a number for all."""
        raise NotImplementedError

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        count, height, width = self._shape(images)
        numbers = self.matrices(transformation, height, width)
        columns = [
            ops.cast(n, "float64") if isinstance(n, Tensor) else ops.full((count,), float(n), "float64")
            for n in numbers
        ]
        return ops.image.affine_transform(
            images, ops.stack(columns, axis=1), interpolation, self.fill_mode, self.fill_value, self.data_format
        )


class RandomTranslation(_Transform):
    """Shifts images by parts of their height and width within the factors, either way for one number.

    Source: Keras ``RandomTranslation``.
    """

    settings = ("height_factor", "width_factor", "fill_mode", "interpolation", "seed", "fill_value")

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format=data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height = factor_range("RandomTranslation", "height_factor", height_factor)
        self._width = factor_range("RandomTranslation", "width_factor", width_factor)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        count, height, width = self._shape(data)
        down = self._uniform((count, 1), self._height, seed) * float(height)
        across = self._uniform((count, 1), self._width, seed) * float(width)
        return {"translations": ops.concatenate([across, down], axis=1)}

    def matrices(self, transformation: Any, height: int, width: int) -> list[Any]:
        moves = as_tensor(transformation["translations"])
        return [1, 0, -moves[:, 0], 0, 1, -moves[:, 1], 0, 0]


def sine_and_cosine(angle: Tensor) -> tuple[Tensor, Tensor]:
    """Of angles in [-2 pi, 2 pi], to 1e-12: Taylor's series of an eighth, doubled three times."""
    t = ops.cast(angle, "float64") / 8.0
    square = t * t
    sine: Any = 0.0
    cosine: Any = 0.0
    for k in reversed(range(9)):
        sine = sine * square + (-1.0) ** k / math.factorial(2 * k + 1)
        cosine = cosine * square + (-1.0) ** k / math.factorial(2 * k)
    sine = sine * t
    for _ in range(3):
        sine, cosine = 2.0 * sine * cosine, 1.0 - 2.0 * sine * sine
    return sine, cosine


class RandomRotation(_Transform):
    """Turns images about their middle, by parts of a full turn within ``factor``. Source: Keras ``RandomRotation``.

    >>> import ranvier as rv
    >>> rv.layers.RandomRotation((0.25, 0.25))([[[1.0], [2.0]], [[3.0], [4.0]]]).numpy()[:, :, 0].round(3).tolist()
    [[2.0, 4.0], [1.0, 3.0]]
    """

    settings = ("factor", "fill_mode", "interpolation", "seed", "fill_value")

    def __init__(
        self,
        factor: Any,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format=data_format, **kwargs)
        self.factor = factor_range("RandomRotation", "factor", factor)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        count, _, _ = self._shape(data)
        return {"angle": self._uniform((count,), [360.0 * end for end in self.factor], seed)}

    def matrices(self, transformation: Any, height: int, width: int) -> list[Any]:
        sine, cosine = sine_and_cosine(as_tensor(transformation["angle"]) * (math.pi / 180))
        x, y = (width - 1) / 2, (height - 1) / 2
        return [cosine, -sine, x - x * cosine + y * sine, sine, cosine, y - x * sine - y * cosine, 0, 0]


class RandomZoom(_Transform):
    """Zooms images about their middle: a positive factor f shows 1 + f as much of them, a negative one less.

    Both axes together unless ``width_factor`` is given. Source: Keras ``RandomZoom``.
    """

    settings = ("height_factor", "width_factor", "fill_mode", "interpolation", "seed", "fill_value")

    def __init__(
        self,
        height_factor: Any,
        width_factor: Any = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format=data_format, **kwargs)
        self.height_factor, self.width_factor = height_factor, width_factor
        self._height = factor_range("RandomZoom", "height_factor", height_factor)
        self._width = None if width_factor is None else factor_range("RandomZoom", "width_factor", width_factor)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        count, _, _ = self._shape(data)
        tall = self._uniform((count, 1), [1 + end for end in self._height], seed)
        wide = tall if self._width is None else self._uniform((count, 1), [1 + end for end in self._width], seed)
        return {"height_zoom": tall, "width_zoom": wide}

    def matrices(self, transformation: Any, height: int, width: int) -> list[Any]:
        wide, tall = (ops.reshape(as_tensor(transformation[name]), (-1,)) for name in ("width_zoom", "height_zoom"))
        return [wide, 0, (width - 1) / 2 * (1.0 - wide), 0, tall, (height - 1) / 2 * (1.0 - tall), 0, 0]


class RandomShear(_Transform):
    """Shears images by factors within ``x_factor`` and ``y_factor``, both in one sense or the other.

    Source: Keras ``RandomShear``.
    """

    settings = ("x_factor", "y_factor", "interpolation", "fill_mode", "fill_value", "seed")

    def __init__(
        self,
        x_factor: Any = 0.0,
        y_factor: Any = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format=data_format, **kwargs)
        self.x_factor, self.y_factor = (
            _both_ways("RandomShear", name, value) for name, value in (("x_factor", x_factor), ("y_factor", y_factor))
        )

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        count, _, _ = self._shape(data)
        sense = ops.where(self._uniform((count, 1), (0, 1), seed) > 0.5, -1.0, 1.0)
        down = self._uniform((count, 1), self.y_factor, seed)
        across = self._uniform((count, 1), self.x_factor, seed)
        return {"shear_factor": ops.concatenate([across, down], axis=1) * ops.cast(sense, self.dtype)}

    def matrices(self, transformation: Any, height: int, width: int) -> list[Any]:
        factors = as_tensor(transformation["shear_factor"])
        return [1, factors[:, 0], 0, factors[:, 1], 1, 0, 0, 0]


def _both_ways(layer: str, name: str, value: Any) -> tuple[float, float]:
    """Two factors in [0, 1] as they are; one as [-f, f], as in Keras (whose configurations hold the latter)."""
    if isinstance(value, (tuple, list)) and len(value) == 2 and value[0] == -value[1]:
        value = value[1]
    low, high = factor_range(layer, name, value, (0, 1))
    return (low, high) if isinstance(value, (tuple, list)) else (-high, high)


class RandomPerspective(GeometricLayer):
    """Moves the corners of images by up to ``scale / 2`` of their distance from the origin, with a probability.

    The probability is drawn within ``factor``. Source: Keras ``RandomPerspective``.
    """

    settings = ("factor", "scale", "interpolation", "fill_value", "seed")

    def __init__(
        self,
        factor: Any = 1.0,
        scale: float = 1.0,
        interpolation: str = "bilinear",
        fill_value: float = 0.0,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.factor = factor_range("RandomPerspective", "factor", factor, (0, 1))
        self.interpolation = known("RandomPerspective", "interpolation", interpolation, INTERPOLATIONS)
        if not 0 <= scale <= 1:
            raise ValueError(f"RandomPerspective: scale must be in [0, 1], got {scale!r}")
        self.scale, self.fill_value = scale, fill_value

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        count, height, width = self._shape(data)
        chance = self._uniform((count,), self.factor, seed)
        applies = self._uniform((count,), (0, 1), seed) < chance
        moved = self._uniform((count, 4, 2), (-self.scale / 2, self.scale / 2), seed)
        corners = np.array([[[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]]])
        start = ops.broadcast_to(Tensor(corners, dtype=self.dtype), (count, 4, 2))
        return {"apply_perspective": applies, "start_points": start, "end_points": start + start * moved}

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        points = transformation["start_points"], transformation["end_points"]
        seen = ops.image.perspective_transform(images, *points, interpolation, self.fill_value, self.data_format)
        return ops.where(each(transformation["apply_perspective"]), seen, images)
