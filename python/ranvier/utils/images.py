"""Images as arrays and files; these functions need Pillow (``pip install 'ranvier[image]'``)."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ranvier import config

_RESAMPLING = {name: name.upper() for name in ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")}
_MOST_PIXELS = 1 << 25  # of a small file: an even picture takes hardly any bytes
_MOST_EXPANSION = 1 << 14  # pixels of a byte
_MODES = {"grayscale": ("L", "I;16", "I"), "rgb": ("RGB",), "rgba": ("RGBA",)}


def _pillow(function: str) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(f"{function} needs Pillow: pip install 'ranvier[image]'") from None
    return Image


@contextlib.contextmanager
def decoding(name: str) -> Iterator[None]:
    """A context in which whatever Pillow says of a file becomes a ValueError that names it."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise ValueError(f"{name!r} cannot be read as an image: {error}") from error


def opened_image(pillow: Any, data: Any, length: int) -> Any:
    """A Pillow image whose pixels are not decoded yet. Raises ValueError for more of them than its bytes can hold."""
    img = pillow.open(data)
    if img.width * img.height > max(_MOST_PIXELS, _MOST_EXPANSION * length):
        raise ValueError(f"it should have {img.width} x {img.height} pixels, of a file of {length} bytes")
    return img


def _channels_first(function: str, data_format: str | None) -> bool:
    if data_format not in (None, "channels_last", "channels_first"):
        raise ValueError(f"{function}: data_format must be 'channels_last' or 'channels_first', got {data_format!r}")
    return data_format == "channels_first"


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: str | None = None) -> Any:
    """An array (height, width, 1, 3 or 4 channels) as a Pillow image.

    ``scale`` spreads the values over 0..255; without it they must lie there. Raises ValueError for other shapes.
    Source: Keras.

    >>> import ranvier as rv
    >>> rv.utils.array_to_img(np.zeros((4, 6, 3))).size
    (6, 4)
    """
    image = _pillow("array_to_img")
    values = np.array(x, dtype=dtype or config.floatx())
    if values.ndim != 3:
        raise ValueError(f"array_to_img: expected one image (height, width, channels), got shape {values.shape}")
    if _channels_first("array_to_img", data_format):
        values = values.transpose(1, 2, 0)
    if values.shape[2] not in (1, 3, 4):
        raise ValueError(f"array_to_img: expected 1, 3 or 4 channels, got {values.shape[2]} (shape {values.shape})")
    if scale and values.size:
        values = values - values.min()
        highest = values.max()
        values = values / (highest if highest != 0 else 1) * 255
    if values.shape[2] > 1:
        return image.fromarray(np.ascontiguousarray(values.astype("uint8")))
    plane = values[:, :, 0]
    return image.fromarray(np.ascontiguousarray(plane.astype("int32" if plane.max(initial=0) > 255 else "uint8")))


def img_to_array(img: Any, data_format: str | None = None, dtype: str | None = None) -> np.ndarray:
    """A Pillow image as an array (height, width, channels), of ``rv.config.floatx()`` unless ``dtype`` is given.

    Raises ValueError for what has neither two nor three axes. Source: Keras.

    >>> import ranvier as rv
    >>> rv.utils.img_to_array(rv.utils.array_to_img(np.zeros((4, 6, 1)))).shape
    (4, 6, 1)
    """
    values = np.array(img, dtype=dtype or config.floatx())
    if values.ndim not in (2, 3):
        raise ValueError(f"img_to_array: an image has two or three axes, got shape {values.shape}")
    values = values[:, :, None] if values.ndim == 2 else values
    return values.transpose(2, 0, 1) if _channels_first("img_to_array", data_format) else values


def save_img(
    path: Any, x: Any, data_format: str | None = None, file_format: str | None = None, scale: bool = True, **kwargs: Any
) -> None:
    """Writes an array as an image file, in ``file_format`` or what the name's ending says.

    ``kwargs`` go to Pillow's ``save``. JPEG has no alpha: it is dropped with a warning. Source: Keras.

    >>> import ranvier as rv, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rv.utils.save_img(f"{folder}/black.png", np.zeros((4, 6, 3)))
    ...     rv.utils.load_img(f"{folder}/black.png").size
    (6, 4)
    """
    if file_format is None and isinstance(path, (str, os.PathLike)):
        file_format = Path(path).suffix[1:]
    file_format = {"jpg": "jpeg"}.get((file_format or "").lower(), (file_format or "").lower()) or None
    img = array_to_img(x, data_format=data_format, scale=scale)
    if img.mode == "RGBA" and file_format == "jpeg":
        warnings.warn("save_img: JPEG has no alpha channel; it is dropped", stacklevel=2)
        img = img.convert("RGB")
    img.save(path, format=file_format, **kwargs)


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """A file (a path, or bytes in an ``io.BytesIO``) as a Pillow image.

    ``color_mode``: ``"rgb"``, ``"rgba"`` or ``"grayscale"``. ``target_size`` (height, width): the image is resized by
    ``interpolation`` (Pillow's methods); with ``keep_aspect_ratio`` its middle is cut out first. Raises ValueError for
    other choices, and for a file, which it names, that is damaged or no image. Source: Keras.
    """
    image = _pillow("load_img")
    if color_mode not in _MODES:
        raise ValueError(f"load_img: color_mode must be 'grayscale', 'rgb' or 'rgba', got {color_mode!r}")
    if isinstance(path, io.BytesIO):
        name, data = "an io.BytesIO", path
    elif isinstance(path, (str, bytes, os.PathLike)):
        with open(path, "rb") as file:
            name, data = os.fsdecode(path), io.BytesIO(file.read())
    else:
        raise TypeError(f"load_img: expected a path or an io.BytesIO, got {type(path).__name__}")
    with decoding(name):
        img = opened_image(image, data, data.getbuffer().nbytes)
        img.load()
        if img.mode not in _MODES[color_mode]:
            img = img.convert(_MODES[color_mode][0])
    if target_size is None or img.size == (target_size[1], target_size[0]):
        return img
    if interpolation not in _RESAMPLING:
        raise ValueError(f"load_img: interpolation must be one of {', '.join(_RESAMPLING)}, got {interpolation!r}")
    box = _middle(img.size, (target_size[1], target_size[0])) if keep_aspect_ratio else None
    method = getattr(image.Resampling, _RESAMPLING[interpolation])
    return img.resize((target_size[1], target_size[0]), method, box=box)


def _middle(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest box in the middle of an image (width, height) that has the target's proportions."""
    width, height = min(size[0], size[1] * target[0] // target[1]), min(size[1], size[0] * target[1] // target[0])
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height
