"""ImageLayer: what draws a transformation and applies it to images, labels and masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ranvier import ops, random
from ranvier._names import unknown
from ranvier.layers.layer import Layer
from ranvier.tensor import Tensor, as_tensor

Range = tuple[float, float]
INTERPOLATIONS = ("nearest", "bilinear")
FILL_MODES = ("reflect", "wrap", "constant", "nearest")


def factor_range(layer: str, name: str, value: Any, bounds: Range = (-1, 1), least: float | None = None) -> Range:
    """Both ends of a factor: given, or a number f for [-f, f], no lower than the bounds (or ``least``)."""
    wrong = ValueError(
        f"{layer}: {name} must be a number, or two of them, in [{bounds[0]}, {bounds[1]}], got {value!r}"
    )
    if isinstance(value, (tuple, list)):
        if len(value) != 2 or max(value) > bounds[1] or min(value) < bounds[0]:
            raise wrong
        return min(value), max(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not bounds[0] <= value <= bounds[1]:
        raise wrong
    return max(-abs(value), bounds[0]) if least is None else least, abs(value)


def two_values(layer: str, value_range: Any) -> list[float]:
    """``value_range``: the least and the greatest value that images have."""
    if not isinstance(value_range, (tuple, list)) or len(value_range) != 2:
        raise ValueError(f"{layer}: value_range must be two numbers, got {value_range!r}")
    return sorted(value_range)


def known(layer: str, name: str, value: str, names: Sequence[str]) -> str:
    """``value``, which must be one of ``names``."""
    if value not in names:
        raise ValueError(f"{layer}: {unknown(name, str(value), tuple(names))}")
    return value


def rescaled(images: Tensor, source: Sequence[float], target: Sequence[float]) -> Tensor:
    """Values of one range in another."""
    if tuple(source) == tuple(target):
        return images
    unit = (images - float(source[0])) / (float(source[1]) - float(source[0]))
    return unit * (float(target[1]) - float(target[0])) + float(target[0])


class ImageLayer(Layer):
    """A layer of images (N, H, W, C), or of one (H, W, C); channels first if ``data_format`` says so.

    ``get_random_transformation(data)`` draws what ``transform_images(images, transformation)`` then does, to a batch.
    A call does both, and passes images through with ``training=False``. ``data`` may be a dictionary of ``images``,
    ``labels`` and ``segmentation_masks``: all undergo the same transformation. Source: Keras
    ``BaseImagePreprocessingLayer``.
    """

    casts_integers = True
    computes_inputs = False  # images stay what they are: in 16 bits 256 levels would blur
    settings: ClassVar[tuple[str, ...]] = ()  # attributes that the configuration holds

    def __init__(self, seed: int | None = None, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = known(type(self).__name__, "data_format", data_format or "channels_last", _FORMATS)
        self.seed = seed
        self._generator = random.Generator(seed) if seed is not None else None
        self.built = True

    # --- for subclasses to define ---

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        """What ``transform_images`` shall do, drawn anew, by the generator ``seed`` if one is given."""
        return None

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        """A batch of images, transformed."""
        raise NotImplementedError(f"{type(self).__name__} does not define transform_images()")

    def transform_labels(self, labels: Any, transformation: Any, training: bool = True) -> Any:
        """A batch of labels; most transformations leave them alone."""
        return labels

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        """A batch of masks; most transformations of colours leave them alone."""
        return segmentation_masks

    # --- for subclasses to use ---

    def _random(self, seed: Any = None) -> random.Generator:
        if seed is not None:
            return random.generator_of(seed)
        return self._generator or random.default_generator()

    def _uniform(self, shape: Sequence[int], between: Sequence[float], seed: Any) -> Tensor:
        """Uniform numbers; those of an interval of one point are that one."""
        low, high = float(between[0]), float(between[1])
        return self._random(seed).uniform(shape, low, high, self.dtype)

    def _images(self, images: Any) -> Tensor:
        return as_tensor(images).astype(self.dtype)

    def _shape(self, data: Any) -> tuple[int, int, int]:
        """Number of images (one without a batch axis), height and width."""
        shape = (data["images"] if isinstance(data, dict) else data).shape
        if len(shape) not in (3, 4):
            raise ValueError(f"{type(self).__name__}: images must have rank 3 (one) or 4 (a batch), got shape {shape}")
        height, width = shape[-2:] if self.data_format == "channels_first" else shape[-3:-1]
        return (shape[0] if len(shape) == 4 else 1), height, width

    # --- the layer ---

    def call(self, data: Any, training: bool = True) -> Any:
        if not isinstance(data, dict):
            self._shape(data)
            return self._apply(self.transform_images, data, data.ndim == 3, self._drawn(data, training), training)
        if "bounding_boxes" in data:
            raise ValueError(f"{type(self).__name__}: bounding boxes are not supported")
        single = data["images"].ndim == 3
        transformation = self._drawn(data, training)
        changes = {
            "images": self.transform_images,
            "labels": self.transform_labels,
            "segmentation_masks": self.transform_segmentation_masks,
        }
        return {
            key: self._apply(changes[key], value, single, transformation, training) if key in changes else value
            for key, value in data.items()
        }

    def _drawn(self, data: Any, training: bool) -> Any:
        return self.get_random_transformation(data, training=training)

    def _apply(self, change: Any, values: Any, single: bool, transformation: Any, training: bool) -> Any:
        values = as_tensor(values)
        if not single:
            return change(values, transformation, training=training)
        return ops.squeeze(change(ops.expand_dims(values, 0), transformation, training=training), 0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "data_format": self.data_format}
        for name in self.settings:
            value = getattr(self, name)
            config[name] = list(value) if isinstance(value, tuple) else value
        return config


class GeometricLayer(ImageLayer):
    """A transformation of the plane, which masks undergo too, without interpolation."""

    interpolation = "bilinear"

    def _transform_images(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        raise NotImplementedError

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._images(images)
        if not training or transformation is None:
            return images
        return self._transform_images(images, transformation, self.interpolation)

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        masks = self._images(segmentation_masks)
        if not training or transformation is None:
            return masks
        return self._transform_images(masks, transformation, "nearest")


_FORMATS = ("channels_last", "channels_first")


def each(values: Any, rank: int = 4) -> Tensor:
    """Numbers (N,) that broadcast against images."""
    tensor = as_tensor(values)
    return ops.reshape(tensor, (-1, *(1,) * (rank - 1)))
