"""ImageDataGenerator: augmentation and standardisation of images, a batch at a time."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ranvier import config
from ranvier.preprocessing.image.flows import Flows
from ranvier.preprocessing.image.transforms import (
    CONTINUOUS,
    FILL_MODES,
    apply_brightness_shift,
    apply_channel_shift,
    flips_of,
    generator_of,
    matrices_of,
    warp,
)

Parameters = dict[str, Any]
_CLOSE_TO_ZERO = 1e-6  # added to deviations


class ImageDataGenerator(Flows):
    """Batches of images, each changed at random within the ranges given, then standardised.

    ``rotation_range`` and ``shear_range`` are degrees; ``width_shift_range`` and ``height_shift_range`` parts of the
    side below 1, else pixels (a whole number k: any of 0..k-1; a list: any of its), either way; ``zoom_range`` a
    number z for [1 - z, 1 + z], or both ends; ``channel_shift_range`` and ``brightness_range`` as in
    ``apply_channel_shift`` and ``apply_brightness_shift``. ``fill_mode`` (``"nearest"``, ``"constant"`` with ``cval``,
    ``"reflect"``, ``"wrap"``, or SciPy's others) says what shows beyond the edges. Then ``preprocessing_function``
    (of one image), times ``rescale``, and the centring, scaling and whitening asked for: of each sample by itself, or
    by what ``fit`` found in the data.

    Numbers are drawn as Keras draws them: one seed gives the same images, bit for bit as far as they are not
    interpolated, on any number of threads. Without a seed it comes from ``rv.utils.set_random_seed``. All images of a
    batch go through one kernel, uint8 in, ``dtype`` out; files are decoded by threads. Raises ValueError for ranges
    that are none. Source: Keras ``legacy.preprocessing.image.ImageDataGenerator``.

    >>> import ranvier as rv
    >>> photos = np.arange(32.0).reshape(2, 4, 4, 1)
    >>> augment = rv.preprocessing.image.ImageDataGenerator(horizontal_flip=True, rescale=0.5)
    >>> x, y = next(augment.flow(photos, [0, 1], batch_size=2, seed=1))
    >>> x.shape, x.dtype.name, y.tolist()
    ((2, 4, 4, 1), 'float32', [0, 1])
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Sequence[float] | None = None,
        shear_range: float = 0.0,
        zoom_range: Any = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[np.ndarray], Any] | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: str | None = None,
    ) -> None:
        self.featurewise_center = featurewise_center
        self.samplewise_center = samplewise_center
        self.featurewise_std_normalization = featurewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.zca_whitening = zca_whitening
        self.zca_epsilon = zca_epsilon
        self.rotation_range = rotation_range
        self.width_shift_range = width_shift_range
        self.height_shift_range = height_shift_range
        self.brightness_range = brightness_range
        self.shear_range = shear_range
        self.zoom_range = _zoom(zoom_range)
        self.channel_shift_range = channel_shift_range
        self.fill_mode = fill_mode
        self.cval = cval
        self.horizontal_flip = horizontal_flip
        self.vertical_flip = vertical_flip
        self.rescale = rescale
        self.preprocessing_function = preprocessing_function
        self.data_format = data_format or "channels_last"
        self.dtype = dtype or config.floatx()
        self.interpolation_order = interpolation_order
        self._validation_split = validation_split
        self._check()
        first = self.data_format == "channels_first"
        self.channel_axis, self.row_axis, self.col_axis = (1, 2, 3) if first else (3, 1, 2)
        self.mean: np.ndarray | None = None
        self.std: np.ndarray | None = None
        self.zca_whitening_matrix: np.ndarray | None = None
        self._rng: Any | None = None

    def _check(self) -> None:
        if self.data_format not in ("channels_last", "channels_first"):
            raise ValueError(f"data_format must be 'channels_last' or 'channels_first', got {self.data_format!r}")
        if self._validation_split and not 0 < self._validation_split < 1:
            raise ValueError(f"validation_split must be between 0 and 1, got {self._validation_split}")
        if self.fill_mode not in FILL_MODES:
            raise ValueError(f"fill_mode must be one of {', '.join(FILL_MODES)}, got {self.fill_mode!r}")
        between = self.brightness_range
        if between is not None and (not isinstance(between, (tuple, list)) or len(between) != 2):
            raise ValueError(f"brightness_range must be a tuple or list of two numbers, got {between!r}")
        if self.zca_whitening and self.featurewise_std_normalization:
            self.featurewise_std_normalization = False
            warnings.warn("zca_whitening takes the place of featurewise_std_normalization", stacklevel=3)
        for option, implied in (
            ("zca_whitening", "featurewise_center"),
            ("featurewise_std_normalization", "featurewise_center"),
            ("samplewise_std_normalization", "samplewise_center"),
        ):
            if getattr(self, option) and not getattr(self, implied):
                setattr(self, implied, True)
                warnings.warn(f"{option} also turns {implied} on", stacklevel=3)

    def standardize(self, x: np.ndarray) -> np.ndarray:
        """One image after ``preprocessing_function``, times ``rescale``, centred and scaled, in place if possible."""
        if self.preprocessing_function is not None:
            x = self.preprocessing_function(x)
        if self.rescale:
            x *= self.rescale
        return self._normalize(x[None], samples=1)[0]

    def _normalize(self, x: np.ndarray, samples: int) -> np.ndarray:
        """Images (N, ...), in place, centred and scaled each by itself, then by what ``fit`` found."""
        axes = tuple(range(1, x.ndim))
        if self.samplewise_center:
            x -= x.mean(axis=axes, keepdims=True)
        if self.samplewise_std_normalization:
            x /= x.std(axis=axes, keepdims=True) + _CLOSE_TO_ZERO
        if self.featurewise_center and self._has("mean", "featurewise_center"):
            x -= self.mean
        if self.featurewise_std_normalization and self._has("std", "featurewise_std_normalization"):
            x /= self.std + _CLOSE_TO_ZERO  # type: ignore[operator]
        if self.zca_whitening and self._has("zca_whitening_matrix", "zca_whitening"):
            x = (x.reshape(-1, math.prod(x.shape[-3:])) @ self.zca_whitening_matrix).reshape(x.shape)
        return x

    def _has(self, name: str, option: str) -> bool:
        if getattr(self, name) is None:
            warnings.warn(f"{option} has no effect before fit(data) has seen the data", stacklevel=4)
            return False
        return True

    def get_random_transform(self, img_shape: Sequence[int], seed: int | None = None) -> Parameters:
        """Parameters drawn for one image of ``img_shape``: what ``apply_transform`` takes."""
        if seed is not None or self._rng is None:
            self._rng = generator_of(seed)
        return self._draw(img_shape, self._rng)

    def _draw(self, img_shape: Sequence[int], rng: Any) -> Parameters:
        """In Keras's order, so that one seed gives the same parameters."""
        height, width = img_shape[self.row_axis - 1], img_shape[self.col_axis - 1]
        theta = rng.uniform(-self.rotation_range, self.rotation_range) if self.rotation_range else 0
        tx = _shift(rng, self.height_shift_range, height)
        ty = _shift(rng, self.width_shift_range, width)
        shear = rng.uniform(-self.shear_range, self.shear_range) if self.shear_range else 0
        zx, zy = (1, 1) if self.zoom_range == [1, 1] else rng.uniform(*self.zoom_range, 2)
        flip_horizontal = (rng.random_sample() < 0.5) * self.horizontal_flip
        flip_vertical = (rng.random_sample() < 0.5) * self.vertical_flip
        by = self.channel_shift_range
        return {
            "theta": theta,
            "tx": tx,
            "ty": ty,
            "shear": shear,
            "zx": zx,
            "zy": zy,
            "flip_horizontal": flip_horizontal,
            "flip_vertical": flip_vertical,
            "channel_shift_intensity": rng.uniform(-by, by) if by != 0 else None,
            "brightness": rng.uniform(*self.brightness_range) if self.brightness_range is not None else None,
        }

    def apply_transform(self, x: Any, transform_parameters: Parameters) -> np.ndarray:
        """One image (three axes) changed by ``transform_parameters``, of which any may be left out."""
        x = np.asarray(x)
        if x.ndim != 3:
            raise ValueError(f"apply_transform: expected one image of three axes, got shape {x.shape}")
        image = self._last(x[None])
        floating = image.astype("float32") if image.dtype not in (np.float32, np.float64) else image
        y = self._transformed(floating, [transform_parameters], str(floating.dtype))
        return self._first(y)[0].astype(x.dtype, copy=False)

    def random_transform(self, x: Any, seed: int | None = None) -> np.ndarray:
        """One image changed at random."""
        return self.apply_transform(x, self.get_random_transform(np.shape(x), seed))

    def _last(self, x: np.ndarray) -> np.ndarray:
        return x if self.channel_axis == 3 else x.transpose(0, 2, 3, 1)

    def _first(self, x: np.ndarray) -> np.ndarray:
        return x if self.channel_axis == 3 else x.transpose(0, 3, 1, 2)

    def _transformed(
        self, x: np.ndarray, parameters: Sequence[Parameters], dtype: str, scale: float = 1.0
    ) -> np.ndarray:
        """Images (N, H, W, C) changed, each by its parameters; of ``dtype``, and times ``scale``."""
        height, width = x.shape[1:3]
        vertical, horizontal = (
            np.array([bool(p.get(name, False)) for p in parameters]) for name in ("flip_vertical", "flip_horizontal")
        )
        flips = vertical.any() or horizontal.any()
        matrices = matrices_of(parameters, height, width)
        # A flip folded into the matrix may round a place to the other side of an edge: it must not matter.
        folds = matrices is not None and self.interpolation_order == 1 and self.fill_mode in CONTINUOUS
        if matrices is None:
            y = x.astype(dtype) if scale == 1 else np.multiply(x, np.dtype(dtype).type(scale), dtype=dtype)
        else:
            matrices = matrices @ flips_of(vertical, horizontal, height, width) if folds and flips else matrices
            y = warp(x, matrices, self.interpolation_order, self.fill_mode, self.cval, dtype, scale)
        for i, image in enumerate(y if flips and not folds else ()):
            if vertical[i] or horizontal[i]:
                image[...] = image[:: -1 if vertical[i] else 1, :: -1 if horizontal[i] else 1].copy()
        for image, p in zip(y, parameters, strict=True):
            if p.get("channel_shift_intensity") is not None:
                image[...] = apply_channel_shift(image, p["channel_shift_intensity"], 2)
            if p.get("brightness") is not None:
                image[...] = apply_brightness_shift(image, p["brightness"], False)
        return y

    def random_batch(self, x: np.ndarray, rng: Any, dtype: str) -> np.ndarray:
        """Images (N, H, W, C), uint8 or floating, changed at random and standardised, in ``data_format``."""
        if len(x) == 0:
            return self._first(x).astype(dtype)
        shape = self._first(x).shape[1:]
        parameters = [self._draw(shape, rng) for _ in x]
        computes = dtype if dtype in ("float32", "float64") else "float32"
        if x.dtype != np.uint8:
            x = x.astype(computes, copy=False)
        colours = self.channel_shift_range != 0 or self.brightness_range is not None
        whole = not colours and self.preprocessing_function is None  # then the kernel can scale as well
        scale = float(self.rescale) if self.rescale and whole else 1.0
        y = self._first(self._transformed(x, parameters, computes, scale))
        if self.preprocessing_function is not None:
            y = np.stack([self.preprocessing_function(image) for image in y])
        if self.rescale and not whole:
            y *= self.rescale
        return self._normalize(y, samples=len(y)).astype(dtype, copy=False)

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Finds mean, deviation and whitening matrix of images (N, H, W, C), after ``rescale``.

        ``augment`` looks at ``rounds`` random changes of each. Raises ValueError for another rank.
        """
        x = np.array(x, dtype=self.dtype)
        if x.ndim != 4:
            raise ValueError(f"fit: expected images of rank 4, got shape {x.shape}")
        if x.shape[self.channel_axis] not in (1, 3, 4):
            warnings.warn(
                f"fit: expected 1, 3 or 4 channels on axis {self.channel_axis} of {x.shape} ({self.data_format})",
                stacklevel=2,
            )
        if self.rescale:
            x *= self.rescale
        if augment:
            x = self._augmented(x, rounds, generator_of(seed))
        axes = (0, self.row_axis, self.col_axis)
        if self.featurewise_center:
            self.mean = x.mean(axis=axes, keepdims=True)[0]
            x -= self.mean
        if self.featurewise_std_normalization:
            self.std = x.std(axis=axes, keepdims=True)[0]
            x /= self.std + _CLOSE_TO_ZERO
        if self.zca_whitening:
            flat = x.reshape(len(x), -1)
            u, s, _ = np.linalg.svd(flat.T, full_matrices=False)
            self.zca_whitening_matrix = (u * (np.sqrt(len(x)) / (s + self.zca_epsilon))) @ u.T

    def _augmented(self, x: np.ndarray, rounds: int, rng: Any) -> np.ndarray:
        seen = []
        for _ in range(rounds):
            parameters = [self._draw(image.shape, rng) for image in x]
            seen.append(self._first(self._transformed(self._last(x), parameters, str(x.dtype))))
        return np.concatenate(seen)


def _zoom(given: Any) -> list[float]:
    if isinstance(given, (float, int)):
        return [1 - given, 1 + given]
    if len(given) == 2 and all(isinstance(end, (float, int)) for end in given):
        return list(given)
    raise ValueError(f"zoom_range must be a number, or a tuple or list of two, got {given!r}")


def _shift(rng: Any, given: Any, side: int) -> Any:
    """Pixels of a shift; see the class for what may be given."""
    if isinstance(given, (int, float)):
        if not given:
            return 0
        shift = rng.uniform(-given, given) if isinstance(given, float) else rng.choice(given) * rng.choice([-1, 1])
        return shift * side if given < 1 else shift
    shift = rng.choice(given) * rng.choice([-1, 1])
    return shift * side if np.max(given) < 1 else shift
