"""Initial values that are not drawn: constants, the identity, Fourier kernels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ranvier import config
from ranvier._names import unknown
from ranvier.tensor import Tensor, as_tensor


class Initializer:
    """A function ``(shape, dtype=None) -> Tensor``; subclasses define ``__call__`` and ``get_config``."""

    def __call__(self, shape: Any, dtype: str | None = None) -> Tensor:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def clone(self) -> Any:
        return type(self).from_config(self.get_config())


class Constant(Initializer):
    """Every element is ``value``. Source: Keras ``Constant``.

    >>> import ranvier as rv
    >>> rv.initializers.Constant(3.0)((2,)).numpy()
    array([3., 3.], dtype=float32)
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Any, dtype: str | None = None) -> Tensor:
        kind = np.dtype(dtype or config.floatx())
        return as_tensor(np.broadcast_to(np.asarray(self.value, kind), tuple(shape)))

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


class Zeros(Constant):
    """All zeros.

    >>> import ranvier as rv
    >>> rv.initializers.Zeros()((2,)).numpy()
    array([0., 0.], dtype=float32)
    """

    def __init__(self) -> None:
        super().__init__(0)

    def get_config(self) -> dict[str, Any]:
        return {}


class Ones(Constant):
    """All ones.

    >>> import ranvier as rv
    >>> rv.initializers.Ones()((2,)).numpy()
    array([1., 1.], dtype=float32)
    """

    def __init__(self) -> None:
        super().__init__(1)

    def get_config(self) -> dict[str, Any]:
        return {}


class Identity(Initializer):
    """``gain`` on the diagonal of a matrix. Source: Keras ``Identity``. Raises ValueError for other ranks.

    >>> import ranvier as rv
    >>> rv.initializers.Identity(2.0)((2, 2)).tolist()
    [[2.0, 0.0], [0.0, 2.0]]
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Any, dtype: str | None = None) -> Tensor:
        if len(shape) != 2:
            raise ValueError(f"Identity: only matrices have an identity, got shape {tuple(shape)}")
        return as_tensor(self.gain * np.eye(*shape).astype(dtype or config.floatx()))

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


_WINDOWS = {  # as sums of cosines
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "boxcar": (1.0,),
    "rectangular": (1.0,),
}


def _window(window: Any, length: int, periodic: bool) -> np.ndarray:
    """A window by name, or the given one. Raises ValueError for another name or length."""
    if not isinstance(window, str):
        values = np.asarray(window, np.float64)
        if values.shape != (length,):
            raise ValueError(f"STFT: the window has shape {values.shape}; expected ({length},), the frame's length")
        return values
    terms = _WINDOWS[window]
    phase = 2 * math.pi * np.arange(length) / max(length if periodic else length - 1, 1)
    values = sum((-1) ** k * a * np.cos(k * phase) for k, a in enumerate(terms))
    return np.ones(1) if length == 1 else np.asarray(values)


class STFT(Initializer):
    """Kernels (frame length, 1, frequencies) that make a convolution a short-time Fourier transform.

    ``side``: ``"real"`` or ``"imag"``. ``window``: ``"hann"``, ``"hamming"``, ``"blackman"``, ``"boxcar"``, values of
    its own, or None. ``scaling``: ``"density"``, ``"spectrum"`` or None. Raises ValueError for others. Source: Keras
    ``initializers.STFT``.

    >>> import ranvier as rv
    >>> rv.initializers.STFT("real", window=None)((4, 1, 3), "float64").numpy()[:, 0, 1].round(6).tolist()
    [1.0, 0.0, -1.0, -0.0]
    """

    def __init__(
        self, side: str = "real", window: Any = "hann", scaling: str | None = "density", periodic: bool = False
    ) -> None:
        if side not in ("real", "imag"):
            raise ValueError(f"STFT: side must be 'real' or 'imag', got {side!r}")
        if isinstance(window, str) and window not in _WINDOWS:
            raise ValueError(unknown("window", window, _WINDOWS))
        if scaling not in (None, "density", "spectrum"):
            raise ValueError(f"STFT: scaling must be None, 'density' or 'spectrum', got {scaling!r}")
        self.side = side
        self.window = window
        self.scaling = scaling
        self.periodic = periodic

    def __call__(self, shape: Any, dtype: str | None = None) -> Tensor:
        length, _, frequencies = shape
        angles = -2 * math.pi * np.outer(np.arange(length), np.arange(frequencies)) / max(2 * (frequencies - 1), 1)
        kernel = (np.cos if self.side == "real" else np.sin)(angles)
        if self.window is not None:
            window = _window(self.window, length, self.periodic)
            scale = {"density": math.sqrt((window**2).sum()), "spectrum": np.abs(window).sum()}
            kernel = kernel * window[:, None] / scale.get(str(self.scaling), 1.0)
        values = np.broadcast_to(kernel[:, None, :], tuple(shape))
        return as_tensor(np.ascontiguousarray(values, dtype or config.floatx()))

    def get_config(self) -> dict[str, Any]:
        window = self.window.tolist() if isinstance(self.window, np.ndarray) else self.window
        return {"side": self.side, "window": window, "scaling": self.scaling, "periodic": self.periodic}
