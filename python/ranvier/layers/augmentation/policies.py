"""Several transformations one after the other: all, some drawn at random, or mixed."""

from __future__ import annotations

from typing import Any

from ranvier import ops
from ranvier.layers import serialization
from ranvier.layers.augmentation import color, fixed, geometric
from ranvier.layers.augmentation.base import ImageLayer, factor_range
from ranvier.layers.augmentation.sampling import beta, gamma
from ranvier.layers.layer import Layer
from ranvier.random import Generator
from ranvier.tensor import Tensor, as_tensor


class RandomColorJitter(ImageLayer):
    """Random brightness, contrast, saturation and hue, as far as their factors are given.

    Source: Keras ``RandomColorJitter``.
    """

    settings = ("value_range", "brightness_factor", "contrast_factor", "saturation_factor", "hue_factor", "seed")

    def __init__(
        self,
        value_range: Any = (0, 255),
        brightness_factor: Any = None,
        contrast_factor: Any = None,
        saturation_factor: Any = None,
        hue_factor: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.value_range = list(value_range)
        self.brightness_factor, self.contrast_factor = brightness_factor, contrast_factor
        self.saturation_factor, self.hue_factor = saturation_factor, hue_factor
        parts: tuple[tuple[Any, Any], ...] = (
            (color.RandomBrightness, brightness_factor),
            (color.RandomContrast, contrast_factor),
            (color.RandomSaturation, saturation_factor),
            (color.RandomHue, hue_factor),
        )
        how = {"value_range": self.value_range, "data_format": self.data_format, "dtype": self.dtype}
        self._parts = [part(factor, **how) for part, factor in parts if factor is not None]

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        return [part.get_random_transformation(data, seed=self._random(seed)) for part in self._parts]

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._images(images)
        if training and transformation is not None:
            for part, drawn in zip(self._parts, transformation, strict=True):
                images = part.transform_images(images, drawn)
        return images


class _Policy(ImageLayer):
    """Layers that a policy chooses from, by the names of Keras's attributes."""

    _names: tuple[str, ...] = ()

    def _make(self, factor: Any, value_range: Any, interpolation: str) -> dict[str, ImageLayer]:
        both: dict[str, Any] = {"data_format": self.data_format, "dtype": self.dtype}
        plane = {"interpolation": interpolation, **both}
        values = {"value_range": value_range, **both}
        bits = max(1, int(8 * factor[1]))
        makers: dict[str, Any] = {
            "random_shear": lambda: geometric.RandomShear(factor, factor, **plane),
            "random_translation": lambda: geometric.RandomTranslation(factor, factor, **plane),
            "random_rotation": lambda: geometric.RandomRotation(factor, **plane),
            "random_brightness": lambda: color.RandomBrightness(factor, **values),
            "random_color_degeneration": lambda: color.RandomColorDegeneration(factor, **values),
            "random_contrast": lambda: color.RandomContrast(factor, **values),
            "random_sharpness": lambda: color.RandomSharpness(factor, **values),
            "random_posterization": lambda: color.RandomPosterization(bits, **values),
            "solarization": lambda: fixed.Solarization(factor, factor, **values),
            "auto_contrast": lambda: fixed.AutoContrast(**values),
            "equalization": lambda: fixed.Equalization(**values),
        }
        return {name: makers[name]() for name in self._names}


class RandAugment(_Policy):
    """``num_ops`` transformations of a list of eleven, drawn for each batch, as strong as ``factor``.

    What is drawn decides what is computed, so steps with this layer are not replayed. Source: Keras ``RandAugment``
    (Cubuk and others 2019).
    """

    settings = ("value_range", "num_ops", "factor", "interpolation", "seed")
    _names = (
        "random_shear", "random_translation", "random_rotation", "random_brightness", "random_color_degeneration",
        "random_contrast", "random_sharpness", "random_posterization", "solarization", "auto_contrast", "equalization",
    )  # fmt: skip

    def __init__(
        self,
        value_range: Any = (0, 255),
        num_ops: int = 2,
        factor: Any = 0.5,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.value_range, self.num_ops, self.interpolation = list(value_range), num_ops, interpolation
        self.factor = factor_range("RandAugment", "factor", factor, (0, 1))
        self._layers = self._make(self.factor, self.value_range, interpolation)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        generator = self._random(seed)
        chosen = generator.integers((self.num_ops,), 0, len(self._names)).tolist()
        drawn = {
            self._names[i]: self._layers[self._names[i]].get_random_transformation(data, seed=generator) for i in chosen
        }
        return {"layer_idxes": chosen, "transforms": drawn}

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._images(images)
        if training and transformation is not None:
            for i in as_tensor(transformation["layer_idxes"]).tolist():
                name = self._names[i]
                images = self._layers[name].transform_images(images, transformation["transforms"][name])
        return images

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        masks = self._images(segmentation_masks)
        if training and transformation is not None:
            for i in as_tensor(transformation["layer_idxes"]).tolist():
                name = self._names[i]
                masks = self._layers[name].transform_segmentation_masks(masks, transformation["transforms"][name])
        return masks


class AugMix(_Policy):
    """Images mixed with the mean of ``num_chains`` chains of up to ``chain_depth`` random transformations each.

    What is drawn decides what is computed, so steps with this layer are not replayed. Source: Keras ``AugMix``
    (Hendrycks and others 2019).
    """

    settings = (
        "value_range", "num_chains", "chain_depth", "factor", "alpha", "all_ops", "interpolation", "seed",
    )  # fmt: skip
    _few = (
        "random_shear", "random_translation", "random_rotation", "random_posterization", "solarization",
        "auto_contrast", "equalization",
    )  # fmt: skip
    _more = ("random_brightness", "random_color_degeneration", "random_contrast", "random_sharpness")

    def __init__(
        self,
        value_range: Any = (0, 255),
        num_chains: int = 3,
        chain_depth: int = 3,
        factor: Any = 0.3,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **kwargs)
        self.value_range, self.num_chains, self.chain_depth = list(value_range), num_chains, chain_depth
        self.factor = factor_range("AugMix", "factor", factor, (0, 1))
        self.alpha, self.all_ops, self.interpolation = alpha, all_ops, interpolation
        self._names = (*self._few, *self._more) if all_ops else self._few
        self._layers = self._make(self.factor, self.value_range, interpolation)

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        generator = self._random(seed)
        shares = gamma(generator, (self.num_chains,), self.alpha, self.dtype)
        weight = beta(generator, (), self.alpha, self.dtype)
        choices = generator.integers((self.num_chains, self.chain_depth), 0, len(self._names) + 1).tolist()
        chains = [[self._step(data, generator, i) for i in chain if i < len(self._names)] for chain in choices]
        return {"chain_mixing_weights": shares / ops.sum(shares), "weight_sample": weight, "chain_transforms": chains}

    def _step(self, data: Any, generator: Generator, number: int) -> dict[str, Any]:
        name = self._names[number]
        drawn = self._layers[name].get_random_transformation(data, seed=generator)
        return {"layer_name": name, "transformation": drawn}

    def _mixed(self, images: Tensor, transformation: Any, method: str) -> Tensor:
        shares, weight = (
            as_tensor(transformation[name]).astype(self.dtype) for name in ("chain_mixing_weights", "weight_sample")
        )
        mean: Any = 0.0
        for i, chain in enumerate(transformation["chain_transforms"]):
            changed = images
            for step in chain:
                changed = getattr(self._layers[step["layer_name"]], method)(changed, step["transformation"])
            mean = mean + changed * shares[i]
        return weight * images + (1.0 - weight) * mean

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._images(images)
        if not training or transformation is None:
            return images
        mixed = self._mixed(images, transformation, "transform_images")
        return ops.clip(mixed, float(self.value_range[0]), float(self.value_range[1]))

    def transform_segmentation_masks(self, segmentation_masks: Any, transformation: Any, training: bool = True) -> Any:
        masks = self._images(segmentation_masks)
        if not training or transformation is None:
            return masks
        return self._mixed(masks, transformation, "transform_segmentation_masks")


class Pipeline(Layer):
    """Layers one after the other, such as augmentations of images. Source: Keras ``Pipeline``.

    >>> import ranvier as rv
    >>> layers = [rv.layers.RandomFlip(seed=1), rv.layers.Rescaling(0.5)]
    >>> rv.layers.Pipeline(layers)([[[[2.0], [2.0]]]]).tolist()
    [[[[1.0], [1.0]]]]
    """

    casts_integers = True

    def __init__(self, layers: Any, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.layers = list(layers)

    def call(self, inputs: Any, training: bool = True) -> Any:
        for layer in self.layers:
            inputs = layer(inputs, training=training)
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "layers": [serialization.serialize(layer) for layer in self.layers]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new pipeline of new layers."""
        layers = [item if isinstance(item, Layer) else serialization.deserialize(item) for item in config["layers"]]
        return cls(**{**config, "layers": layers})
