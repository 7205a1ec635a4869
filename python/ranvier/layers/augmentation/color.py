"""Random brightness, contrast, colours and sharpness, inversion, posterising, smoothing."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ranvier import ops
from ranvier.layers.augmentation.base import ImageLayer, each, factor_range, rescaled, two_values
from ranvier.ops.image.filters import _each_channel
from ranvier.tensor import Tensor, as_tensor

_EPSILON = 1e-7


class _Colours(ImageLayer):
    """A factor for each image, within ``factor``, and the range of values that images have."""

    settings: ClassVar[tuple[str, ...]] = ("factor", "value_range", "seed")
    bounds = (-1.0, 1.0)

    def __init__(self, factor: Any, value_range: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor_range(type(self).__name__, "factor", factor, self.bounds)
        self.value_range = two_values(type(self).__name__, value_range)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        return {"factor": self._uniform((self._shape(data)[0],), self.factor, seed)}

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._images(images)
        return self._changed(images, transformation) if training and transformation is not None else images

    def _changed(self, images: Tensor, transformation: Any) -> Tensor:
        raise NotImplementedError

    def _clipped(self, images: Tensor) -> Tensor:
        return ops.clip(images, self.value_range[0], self.value_range[1])

    def _numbers(self, transformation: Any, name: str = "factor") -> Tensor:
        return each(as_tensor(transformation[name]).astype(self.dtype))


class RandomBrightness(_Colours):
    """Adds a part, within ``factor``, of the range of values. Source: Keras ``RandomBrightness``.

    >>> import ranvier as rv
    >>> rv.layers.RandomBrightness((0.5, 0.5), value_range=(0, 1))([[[[0.25], [0.75]]]]).tolist()
    [[[[0.75], [1.0]]]]
    """

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(factor, value_range, seed=seed, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        width = self.value_range[1] - self.value_range[0]
        return {"rgb_delta": self._uniform((self._shape(data)[0], 1, 1, 1), self.factor, seed) * float(width)}

    def _changed(self, images: Tensor, transformation: Any) -> Tensor:
        return self._clipped(images + self._numbers(transformation, "rgb_delta"))


class RandomContrast(_Colours):
    """Scales what differs from each channel's mean by 1 - ``factor[0]`` to 1 + ``factor[1]``.

    Source: Keras ``RandomContrast``.
    """

    bounds = (0.0, 1.0)

    def __init__(self, factor: Any, value_range: Any = (0, 255), seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(factor, value_range, seed=seed, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        between = (1 - self.factor[0], 1 + self.factor[1])
        return {"contrast_factor": self._uniform((self._shape(data)[0], 1, 1, 1), between, seed)}

    def _changed(self, images: Tensor, transformation: Any) -> Tensor:
        axes = (-2, -1) if self.data_format == "channels_first" else (-3, -2)
        mean = ops.mean(images, axis=axes, keepdims=True)
        return self._clipped((images - mean) * self._numbers(transformation, "contrast_factor") + mean)


class RandomHue(_Colours):
    """Turns the hue by up to half of ``factor`` of the circle, either way. Source: Keras ``RandomHue``."""

    bounds = (0.0, 1.0)

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, data_format=data_format, seed=seed, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        count, _, _ = self._shape(data)
        sense = ops.where(self._uniform((count,), (0, 1), seed) > 0.5, -1.0, 1.0)
        return {"factor": ops.cast(sense, self.dtype) * self._uniform((count,), self.factor, seed) * 0.5}

    def _changed(self, images: Tensor, transformation: Any) -> Tensor:
        axis = 1 if self.data_format == "channels_first" else -1
        hsv = ops.image.rgb_to_hsv(rescaled(images, self.value_range, (0, 1)), self.data_format)
        hue, saturation, value = ops.split(hsv, 3, axis=axis)
        turned = ops.concatenate([hue + self._numbers(transformation), saturation, value], axis=axis)
        rgb = ops.clip(ops.image.hsv_to_rgb(turned, self.data_format), 0.0, 1.0)
        return rescaled(rgb, (0, 1), self.value_range)


class RandomSaturation(_Colours):
    """Scales the saturation by f / (1 - f), f within ``factor``: 0 is grey, 0.5 leaves it.

    Source: Keras ``RandomSaturation``.
    """

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, data_format=data_format, seed=seed, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        drawn = super().get_random_transformation(data, training, seed)
        return None if drawn is None else {"factor": drawn["factor"] / (1.0 - drawn["factor"] + _EPSILON)}

    def _changed(self, images: Tensor, transformation: Any) -> Tensor:
        axis = 1 if self.data_format == "channels_first" else -1
        hue, saturation, value = ops.split(ops.image.rgb_to_hsv(images, self.data_format), 3, axis=axis)
        scaled = self._clipped(saturation * self._numbers(transformation))
        return ops.image.hsv_to_rgb(ops.concatenate([hue, scaled, value], axis=axis), self.data_format)


class RandomColorDegeneration(_Colours):
    """Mixes images with their grey versions, within ``factor``. Source: Keras ``RandomColorDegeneration``."""

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, data_format=data_format, seed=seed, **kwargs)

    def _changed(self, images: Tensor, transformation: Any) -> Tensor:
        grey = ops.image.rgb_to_grayscale(images, self.data_format)
        return self._clipped(images + self._numbers(transformation) * (grey - images))


class RandomSharpness(_Colours):
    """Smooths or sharpens: factor 0 is smooth, 0.5 leaves images, 1 is sharp. Source: Keras ``RandomSharpness``."""

    bounds = (0.0, 1.0)

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, data_format=data_format, seed=seed, **kwargs)

    def _changed(self, images: Tensor, transformation: Any) -> Tensor:
        first = self.data_format == "channels_first"
        images = ops.transpose(images, (0, 2, 3, 1)) if first else images
        kernel = np.full((3, 3), 1 / 13)
        kernel[1, 1] = 5 / 13
        smooth = _each_channel(images, Tensor(kernel, dtype=images.dtype, device=images.device), "same")
        sharp = self._clipped(images + (1.0 - 2.0 * self._numbers(transformation)) * (smooth - images))
        return ops.transpose(sharp, (0, 3, 1, 2)) if first else sharp


class RandomPosterization(_Colours):
    """Keeps as many bits of each value as ``factor``, 1 to 8, says. Source: Keras ``RandomPosterization``.

    >>> import ranvier as rv
    >>> rv.layers.RandomPosterization(2)([[[[70.0], [200.0]]]]).tolist()
    [[[[64.0], [192.0]]]]
    """

    bounds = (1.0, 8.0)

    def __init__(
        self,
        factor: Any,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, data_format=data_format, seed=seed, **kwargs)
        if not isinstance(factor, (tuple, list)):
            self.factor = (factor, factor)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        count, _, _ = self._shape(data)
        least, most = (int(end) for end in self.factor)
        if least == most:
            return {"shift_factor": ops.full((count,), 8 - least, "uint8")}
        return {"shift_factor": 8 - self._random(seed).integers((count,), least, most, "uint8")}

    def _changed(self, images: Tensor, transformation: Any) -> Tensor:
        step = ops.power(2.0, self._numbers(transformation, "shift_factor"))
        whole = ops.cast(ops.cast(rescaled(images, self.value_range, (0, 255)), "uint8"), self.dtype)
        kept = ops.cast(ops.cast(whole / step, "uint8"), self.dtype) * step
        return rescaled(kept, (0, 255), self.value_range)


class RandomInvert(_Colours):
    """Inverts images with a probability drawn within ``factor``. Source: Keras ``RandomInvert``."""

    bounds = (0.0, 1.0)

    def __init__(
        self,
        factor: Any = 1.0,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, data_format=data_format, seed=seed, **kwargs)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        count, _, _ = self._shape(data)
        chance = self._uniform((count,), self.factor, seed)
        return {"apply_inversion": self._uniform((count,), (0, 1), seed) < chance}

    def _changed(self, images: Tensor, transformation: Any) -> Tensor:
        return ops.where(each(transformation["apply_inversion"]), float(self.value_range[1]) - images, images)


class RandomGrayscale(ImageLayer):
    """Takes the colours from images with probability ``factor``. Source: Keras ``RandomGrayscale``."""

    settings = ("factor", "seed")

    def __init__(
        self, factor: float = 0.5, data_format: str | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        if not 0 <= factor <= 1:
            raise ValueError(f"RandomGrayscale: factor must be in [0, 1], got {factor!r}")
        self.factor = factor

    def get_random_transformation(self, images: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        return self._uniform((self._shape(images)[0], 1, 1, 1), (0, 1), seed) < self.factor

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._images(images)
        if not training or transformation is None:
            return images
        return ops.where(as_tensor(transformation), ops.image.rgb_to_grayscale(images, self.data_format), images)


class RandomGaussianBlur(_Colours):
    """Smooths images by a Gaussian, its width within ``sigma``, with a probability within ``factor``.

    Source: Keras ``RandomGaussianBlur``.
    """

    settings = ("factor", "kernel_size", "sigma", "value_range", "seed")
    bounds = (0.0, 1.0)

    def __init__(
        self,
        factor: Any = 1.0,
        kernel_size: Any = 3,
        sigma: Any = 1.0,
        value_range: Any = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, data_format=data_format, seed=seed, **kwargs)
        sizes = tuple(kernel_size) if isinstance(kernel_size, (tuple, list)) else (kernel_size, kernel_size)
        if len(sizes) != 2 or any(size % 2 == 0 for size in sizes):
            raise ValueError(f"RandomGaussianBlur: kernel_size must be one or two odd numbers, got {kernel_size!r}")
        self.kernel_size = sizes
        self.sigma = factor_range("RandomGaussianBlur", "sigma", sigma, (0, 1))

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        count, _, _ = self._shape(data)
        chance = self._uniform((count,), self.factor, seed)
        applies = self._uniform((count,), (0, 1), seed) < chance
        return {"should_apply_blur": applies, "blur_factor": self._uniform((2,), self.sigma, seed) + 1e-6}

    def _changed(self, images: Tensor, transformation: Any) -> Tensor:
        sigma = as_tensor(transformation["blur_factor"])
        smooth = ops.image.gaussian_blur(images, self.kernel_size, sigma, self.data_format)
        return self._clipped(ops.where(each(transformation["should_apply_blur"]), smooth, images))


class RandomElasticTransform(_Colours):
    """Moves pixels smoothly, as far as ``scale`` says, with a probability within ``factor``.

    Source: Keras ``RandomElasticTransform`` (Simard and others 2003).
    """

    settings = ("factor", "scale", "interpolation", "fill_mode", "fill_value", "value_range", "seed")
    bounds = (0.0, 1.0)

    def __init__(
        self,
        factor: Any = 1.0,
        scale: Any = 1.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        value_range: Any = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(factor, value_range, data_format=data_format, seed=seed, **kwargs)
        self.scale = factor_range("RandomElasticTransform", "scale", scale, (0, 1))
        self.interpolation, self.fill_mode, self.fill_value = interpolation, fill_mode, fill_value

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training or self.scale[1] == 0 or self.factor[1] == 0:
            return None
        count, _, _ = self._shape(data)
        chance = self._uniform((count,), self.factor, seed)
        applies = self._uniform((count,), (0, 1), seed) < chance
        scale = self._uniform((), self.scale, seed).item()
        noise = self._random(seed).integers((), 0, 2**31 - 1, "int64").item()
        return {"apply_transform": applies, "distortion_factor": scale, "seed": noise}

    def _moved(self, images: Tensor, transformation: Any, interpolation: str) -> Tensor:
        _, height, width = self._shape(images)
        scale = float(transformation["distortion_factor"])
        alpha, sigma = max(height, width) * 0.1 * scale, max(min(height, width) * 0.05 * scale, 1e-6)
        how = (alpha, sigma, interpolation, self.fill_mode, self.fill_value, int(transformation["seed"]))
        moved = ops.image.elastic_transform(images, *how, data_format=self.data_format)
        return ops.where(each(transformation["apply_transform"]), moved, images)

    def _changed(self, images: Tensor, transformation: Any) -> Tensor:
        return self._clipped(self._moved(images, transformation, self.interpolation))

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        masks = self._images(segmentation_masks)
        return self._moved(masks, transformation, "nearest") if training and transformation is not None else masks
