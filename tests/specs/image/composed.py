"""Ops of images that are built of others: cuts and margins, patches, colours, small filters, gathered pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import ranvier as rv
from tests.opspec import (
    Bound,
    Call,
    GradientBound,
    OpSpec,
    Refused,
    gamma,
    linear_bound,
    linear_gradient_bound,
    normal,
    seeds,
    smallest,
)

image = rv.ops.image


@st.composite
def calls(
    draw: Any, options: Callable[[Any], dict[str, Any]], channels: int | None = None, least: int = 3, images: int = 0
) -> Call:
    """A batch or one image; in the layout of either convention."""
    side = st.integers(least, 9)
    shape = [draw(side), draw(side), channels or draw(st.integers(1, 4))]
    if draw(st.booleans()):
        shape = [draw(st.integers(images, 2)), *shape]
    values = normal(tuple(shape), draw(seeds), 10.0)
    chosen = options(draw)
    if chosen.get("data_format") == "channels_first":
        values = np.moveaxis(values, -1, -3)
    return Call({"images": values}, chosen)


def pick(**choices: list[Any]) -> Callable[[Any], dict[str, Any]]:
    """One of the values of every option."""
    return lambda draw: {name: draw(st.sampled_from(values)) for name, values in choices.items()}


FORMATS = [None, "channels_first"]
EMPTY = np.ones((3, 3))


def largest(weights: float, length: int) -> Bound:
    """For sums of products with ``weights`` in all, in absolute value, of any sign."""
    return lambda call, expected, eps: [
        weights * gamma(length + 2, eps) * np.abs(call.arrays["images"]).max(initial=0) + smallest(eps)
        for _ in expected
    ]


def largest_gradient(weights: float, length: int) -> GradientBound:
    """The same for the gradient."""
    return lambda call, dys, expected, eps: {
        "images": weights * gamma(length + 2, eps) * np.abs(dys[0]).max(initial=0) + smallest(eps)
    }


def linear(
    op: Callable[..., Any],
    length: int,
    options: Callable[[Any], dict[str, Any]],
    refused: tuple[tuple[dict[str, Any], str], ...] = (),
    channels: int | None = None,
    least: int = 3,
    signed: bool = False,
) -> OpSpec:
    """An op that is linear in the images, a sum of ``length`` products; ``signed``: of weights of both signs."""
    bound: Bound = linear_bound(op, lambda call: length)
    gradient_bound = linear_gradient_bound(op, ("images",), lambda call: {"images": 9 * length})
    if signed:  # absolute images do not give the sum of absolute products
        bound, gradient_bound = largest(2 * length, length), largest_gradient(4 * length, 2 * length)
    return OpSpec(
        op=op,
        calls=calls(options, channels, least),
        bound=bound,
        gradients=("images",),
        gradient_bound=gradient_bound,
        gradient_calls=calls(options, channels or 1, least),
        twice=True,
        refused=(
            Refused(Call({"images": EMPTY}, options(first)), ValueError, "must have rank 3 (one) or 4"),
            *(Refused(Call({"images": np.ones((4, 4, channels or 1))}, o), ValueError, text) for o, text in refused),
        ),
    )


def first(strategy: Any) -> Any:
    """The simplest of what a strategy gives."""
    return strategy.elements[0]


MARGINS = pick(data_format=FORMATS, top=[1, 0, 2])
CORNERS = [[0.0, 0.0], [5.0, 0.0], [0.0, 4.0], [5.0, 4.0]]
MOVED = [[1.0, 0.5], [4.0, 0.0], [-1.0, 5.0], [6.0, 3.0]]


def crop_images(images: Any, top: int, **options: Any) -> Any:
    return image.crop_images(images, top, None, 0, 1, target_width=1, **options)


def pad_images(images: Any, top: int, **options: Any) -> Any:
    return image.pad_images(images, top, None, None, 1, target_height=12, target_width=11, **options)


def sampled(images: Any, **options: Any) -> Any:
    """map_coordinates at places inside and outside, of images of any rank."""
    images = rv.as_tensor(images)
    rank = images.ndim
    places = np.linspace(-3.25, 11.5, 7 * rank).reshape(rank, 7)[:, ::-1]
    return image.map_coordinates(images, rv.Tensor(places.copy(), device=images.device), **options)


def scaled(images: Any, **options: Any) -> Any:
    """scale_and_translate along the last axes."""
    images = rv.as_tensor(images)
    return image.scale_and_translate(images, (*images.shape[:-2], 7, 4), (0.7, 2.0), (1.5, -1.0), (-2, -1), **options)


def colours(draw: Any) -> dict[str, Any]:
    return {"data_format": draw(st.sampled_from(FORMATS))}


@st.composite
def shades(draw: Any) -> Call:
    """Multiples of 1/64: channels that are equal, black, white; nothing that rounding could reorder."""
    call = draw(calls(colours, 3))
    values = np.random.default_rng(draw(seeds)).integers(0, 65, call.arrays["images"].shape) / 64
    return Call({"images": values}, call.options)


def within(size: float) -> Bound:
    return lambda call, expected, eps: [size * eps for _ in expected]


@st.composite
def pairs(draw: Any) -> Call:
    shape = (draw(st.integers(1, 2)), draw(st.integers(5, 9)), draw(st.integers(5, 9)), draw(st.integers(1, 3)))
    x = np.random.default_rng(draw(seeds)).uniform(size=shape)
    return Call({"image1": x, "image2": np.clip(x + normal(shape, draw(seeds), 0.2), 0, 1)}, {"filter_size": 5})


# Errors of means, times what the smallest denominator, k2 ** 2, makes of them.
SSIM_BOUND = within(3 * 60 / 0.03**2)

SPECS = [
    linear(crop_images, 1, MARGINS, (({"top": 9}, "are more than shape"),)),
    linear(pad_images, 1, MARGINS, (({"top": -1}, "must not be negative, got top_padding=-1"),)),
    linear(
        image.extract_patches,
        1,
        pick(size=[2, (3, 1)], strides=[None, 1, (2, 3)], padding=["valid", "same"], dilation_rate=[1, 2]),
        (({"size": 5}, "do not fit"), ({"size": 0}, "positive"), ({"size": 1, "padding": "full"}, "'valid' or 'same'")),
        least=5,
    ),
    linear(
        image.gaussian_blur,
        40,
        pick(kernel_size=[(3, 5), (1, 4)], sigma=[(1.0, 0.5)], data_format=FORMATS),
        (({"kernel_size": (0, 1)}, "two positive numbers"),),
    ),
    linear(image.sobel_edges, 9, pick(data_format=FORMATS), signed=True),
    linear(image.rgb_to_grayscale, 6, pick(data_format=FORMATS), channels=3),
    linear(
        image.perspective_transform,
        12,
        pick(start_points=[CORNERS], end_points=[MOVED], interpolation=["bilinear", "nearest"]),
        (({"start_points": CORNERS, "end_points": MOVED[:3]}, "must both be (4, 2)"),),
    ),
    linear(
        image.elastic_transform,
        9,
        pick(alpha=[0.0], seed=[1], fill_mode=["reflect", "wrap"]),  # float32 and float64 draw other noise
        (({"fill_mode": "reflekt"}, "Did you mean 'reflect'?"),),
    ),
    OpSpec(
        op=sampled,
        name="map_coordinates",
        calls=calls(pick(order=[0, 1], fill_mode=["constant", "nearest", "wrap", "mirror", "reflect"]), images=1),
        bound=linear_bound(sampled, lambda call: 30),
        gradients=("images",),
        gradient_bound=linear_gradient_bound(sampled, ("images",), lambda call: {"images": 150}),
        refused=(
            Refused(Call({"images": EMPTY}, {"order": 2}), ValueError, "order must be 0 or 1"),
            Refused(Call({"images": EMPTY}, {"order": 1, "fill_mode": "wrapp"}), ValueError, "Did you mean 'wrap'?"),
        ),
    ),
    OpSpec(
        op=scaled,
        name="scale_and_translate",
        calls=calls(pick(method=["linear", "cubic", "lanczos3", "lanczos5"], antialias=[True, False])),
        bound=largest(4, 34),  # two sums of at most 15 products, whose weights sum to less than two each
        gradient_bound=largest_gradient(8 * 4, 34),  # a pixel serves a few others
        gradients=("images",),
        twice=True,
        refused=(Refused(Call({"images": EMPTY}, {"method": "kubic"}), ValueError, "Did you mean 'cubic' or"),),
    ),
    OpSpec(
        op=image.rgb_to_hsv,
        calls=shades(),
        bound=within(8),
        nan=False,  # what the hue of NaN is hangs on comparisons
        refused=(Refused(Call({"images": np.ones((3, 3, 2))}), ValueError, "must have 3 channels but have 2"),),
    ),
    OpSpec(
        op=image.hsv_to_rgb,
        calls=shades(),
        bound=within(24),  # six times the error of a hue
        nan=False,
        refused=(Refused(Call({"images": np.ones((3, 3, 3), np.int32)}), ValueError, "must be floating"),),
    ),
    OpSpec(
        op=image.ssim,
        calls=pairs(),
        bound=SSIM_BOUND,
        refused=(
            Refused(
                Call({"image1": np.ones((4, 4, 1)), "image2": np.ones((4, 5, 1))}), ValueError, "must have one shape"
            ),
        ),
    ),
]
