"""Images seen through transforms of the plane."""

from __future__ import annotations

from typing import Any

from ranvier._names import unknown
from ranvier.autograd import Function
from ranvier.ops.image.layout import as_given, channels_last
from ranvier.ops.shape import expand_dims
from ranvier.tensor import Tensor, as_tensor

# Keras's names, and SciPy's for the same where they differ.
_FILL_MODES = {
    "constant": "grid-constant",
    "nearest": "nearest",
    "wrap": "grid-wrap",
    "mirror": "mirror",
    "reflect": "reflect",
}


class AffineTransform(Function):
    narrow = ()
    mixes_widths = True

    def forward(
        self,
        images: Any,
        transform: Any,
        interpolation: str,
        fill_mode: str,
        fill_value: float,
        size: list[int] | None = None,
    ) -> Any:
        self.save(transform)
        self.how = {"interpolation": interpolation, "fill_mode": fill_mode}
        self.sizes = list(images.shape[1:3]), size
        how = (interpolation, fill_mode, fill_value)
        return self.kernels.affine_transform_forward(images, transform, *how, size=size)

    def backward(self, dy: Tensor) -> tuple[Tensor, None]:
        (transform,) = self.saved
        return AffineTransformGradient.apply(dy, transform, **self.how, sizes=self.sizes), None


class AffineTransformGradient(Function):
    """Each pixel shared among those that it was made of; linear in them, so its own gradient is the forward op."""

    narrow = ()
    mixes_widths = True

    def forward(self, dy: Any, transform: Any, interpolation: str, fill_mode: str, sizes: Any) -> Any:
        self.save(transform)
        self.how = {"interpolation": interpolation, "fill_mode": fill_mode}
        self.sizes = sizes
        return self.kernels.affine_transform_backward(dy, transform, interpolation, fill_mode, size=sizes[0])

    def backward(self, ddx: Tensor) -> tuple[Tensor, None]:
        (transform,) = self.saved
        return AffineTransform.apply(ddx, transform, fill_value=0.0, **self.how, size=self.sizes[1]), None


def affine_transform(
    images: Any,
    transform: Any,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0,
    data_format: str | None = None,
) -> Tensor:
    """Images (N, H, W, C), or one (H, W, C), seen through a transform of the plane: the same shape and dtype.

    The pixel of column x and row y shows the place ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k), where
    k = c0 x + c1 y + 1, for ``transform`` (a0, a1, a2, b0, b1, b2, c0, c1): (8,) or (1, 8) for all images, or (N, 8);
    float32 or float64. ``interpolation`` is ``"bilinear"`` or ``"nearest"``; ``fill_mode`` says what lies outside:
    ``"constant"`` (``fill_value``), ``"nearest"``, ``"reflect"``, ``"mirror"`` or ``"wrap"``. Images are float32,
    float64 or uint8 (rounded). Differentiable in ``images``, twice; not in ``transform``. Raises ValueError for other
    names, ranks or shapes, TypeError for other dtypes. Source: Keras ``ops.image.affine_transform``.

    >>> import ranvier as rv
    >>> image = [[[1.0], [2.0], [3.0]]]
    >>> rv.ops.image.affine_transform(image, [1, 0, -0.5, 0, 1, 0, 0, 0]).numpy()[0, :, 0]
    array([0.5, 1.5, 2.5], dtype=float32)
    >>> rv.ops.image.affine_transform(image, [-1, 0, 2, 0, 1, 0, 0, 0]).numpy()[0, :, 0]
    array([3., 2., 1.], dtype=float32)
    """
    if fill_mode not in _FILL_MODES:
        raise ValueError(f"affine_transform: {unknown('fill_mode', str(fill_mode), _FILL_MODES)}")
    if interpolation not in ("bilinear", "nearest"):
        raise ValueError(f"affine_transform: {unknown('interpolation', str(interpolation), ('bilinear', 'nearest'))}")
    batch, single, first = channels_last("affine_transform", images, data_format)
    matrices = as_tensor(transform, device=batch.device)
    if matrices.dtype not in ("float32", "float64"):
        matrices = matrices.astype("float32")
    if matrices.ndim == 1:
        matrices = expand_dims(matrices, 0)
    how = {"interpolation": interpolation, "fill_mode": _FILL_MODES[fill_mode], "fill_value": float(fill_value)}
    return as_given(AffineTransform.apply(batch, matrices, **how), single, first)
