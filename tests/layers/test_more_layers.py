"""Gradients beside Keras's, dropouts' laws, masks and messages of the layers of ``cases_more``."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import layers
from tests.layers.case import IMAGE, Case
from tests.layers.cases_more import MORE

os.environ.setdefault("KERAS_BACKEND", "torch")
torch = pytest.importorskip("torch", reason="Keras needs a backend to compare with: pip install torch")
keras = pytest.importorskip("keras", reason="comparison with Keras 3: pip install keras")

X = np.random.default_rng(0).standard_normal((3, 5, 4)).astype("float32")
MASK = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [0, 0, 1, 0, 0]], bool)
DIFFERENTIABLE = [c for c in MORE if not c.keras and c.integers is None and c.layer != "Discretization"]


def as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=lambda c: c.name)
def test_gradients(case: Case) -> None:
    """Of the inputs and the weights, through the sum of squares."""
    ours, theirs = (getattr(k.layers, case.layer)(**case.arguments, dtype="float64") for k in (rv, keras))
    inputs = as_list(case.inputs())
    mine = [rv.Tensor(x, requires_grad=True) for x in inputs]
    right = [torch.tensor(x, requires_grad=True) for x in inputs]
    several = isinstance(case.shape, list)
    ours(mine if several else mine[0]), theirs(right if several else right[0])
    weights = [np.random.default_rng(i).uniform(0.2, 1.2, w.shape) for i, w in enumerate(ours.weights)]
    ours.set_weights(weights), theirs.set_weights(weights)
    y, expected = (k(x if several else x[0], **case.call) for k, x in ((ours, mine), (theirs, right)))
    sum((e * e).sum() for e in as_list(expected)).backward()
    found = rv.grad(sum(rv.ops.sum(e * e) for e in as_list(y)), [*mine, *ours.trainable_weights])
    theirs_found = [x.grad for x in right] + [w.value.grad for w in theirs.trainable_weights]
    for one, other in zip(found, theirs_found, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=1e-5)


def test_every_case_has_gradients_by_differences() -> None:
    """Of those that Keras cannot be the measure for."""
    for case in (c for c in MORE if c.keras and not isinstance(c.shape, list)):
        layer = getattr(layers, case.layer)(**case.arguments, dtype="float64")
        x, direction = case.inputs(), case.inputs(seed=1)
        tensor = rv.Tensor(x, requires_grad=True)
        (gradient,) = rv.grad(rv.ops.sum(rv.ops.square(layer(tensor))), [tensor])
        ahead, behind = (rv.ops.sum(rv.ops.square(layer(x + h * direction))).item() for h in (1e-6, -1e-6))
        np.testing.assert_allclose((gradient.numpy() * direction).sum(), (ahead - behind) / 2e-6, rtol=1e-5)


@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "masked"])
def test_global_average_pooling_counts_what_is_not_masked(mask: Any) -> None:
    for keepdims in (False, True):
        ours, theirs = (k.layers.GlobalAveragePooling1D(keepdims=keepdims) for k in (rv, keras))
        expected = theirs(X, mask=None if mask is None else torch.tensor(mask))
        np.testing.assert_allclose(ours(X, mask=mask).numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)
    model = rv.Sequential([layers.Masking(), layers.GlobalAveragePooling1D()])
    x = np.where(MASK[..., None], X, 0).astype("float32")
    np.testing.assert_allclose(model(x).numpy(), x.sum(1) / MASK.sum(1)[:, None], rtol=1e-5, atol=1e-6)
    assert layers.get_mask(model(x)) is None


@pytest.mark.parametrize("axis", [-1, (1, 2)])
def test_masked_softmax(axis: Any) -> None:
    mask = np.random.default_rng(1).random((3, 5, 4)) < 0.6
    mask[0] = False  # nothing is left: zeros
    ours, theirs = (k.layers.Softmax(axis)(X, mask=m) for k, m in ((rv, mask), (keras, torch.tensor(mask))))
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-7)
    assert not ours.numpy()[~mask].any()
    numbers = layers.Softmax(axis)(X, mask=mask.astype("float32"))
    np.testing.assert_array_equal(ours.numpy(), numbers.numpy())


@pytest.mark.parametrize("name", ["bicubic", "lanczos3", "lanczos5"])
def test_upsampling_beside_jax(name: str) -> None:
    jax = pytest.importorskip("jax", reason="TensorFlow's interpolation, as JAX has it")
    x = Case("", {}, IMAGE, IMAGE).inputs(dtype="float32")
    expected = jax.image.resize(x, (2, 18, 24, 4), {"bicubic": "cubic"}.get(name, name))
    found = layers.UpSampling2D((2, 3), interpolation=name)(x)
    np.testing.assert_allclose(found.numpy(), np.asarray(expected), rtol=1e-4, atol=1e-4)


def test_interpolation_keeps_constants() -> None:
    for name in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"):
        y = layers.UpSampling2D((3, 2), interpolation=name)(rv.ops.ones(IMAGE))
        np.testing.assert_allclose(y.numpy(), 1, rtol=1e-5)


def test_local_subtractive_normalization_by_hand() -> None:
    """Beside loops over pixels that follow the definition."""
    x = Case("", {}, (2, 5, 4, 3), IMAGE).inputs()
    offsets = np.arange(-2, 3)
    window = np.exp(-(offsets**2) / (2 * 1.3**2))
    for across in (True, False):
        expected = np.empty_like(x)
        for i, j in np.ndindex(5, 4):
            rows = [(a, w) for a, w in zip(i + offsets, window, strict=True) if 0 <= a < 5]
            columns = [(b, w) for b, w in zip(j + offsets, window, strict=True) if 0 <= b < 4]
            total = sum(v * w * x[:, a, b] for a, v in rows for b, w in columns)
            mean = total / sum(v * w for _, v in rows for _, w in columns)
            expected[:, i, j] = x[:, i, j] - (mean.mean(-1, keepdims=True) if across else mean)
        layer = layers.LocalSubtractiveNormalization(5, sigma=1.3, across_channels=across, dtype="float64")
        np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-10, atol=1e-12)


def test_l2_pooling_by_hand() -> None:
    x = Case("", {}, IMAGE, IMAGE).inputs()
    blocks = x[:, :8].reshape(2, 4, 2, 4, 2, 4)
    found = layers.L2Pooling2D(dtype="float64")(x).numpy()
    np.testing.assert_allclose(found, np.sqrt((blocks**2).sum((2, 4))), rtol=1e-12)
    zeros = rv.Tensor(np.zeros(IMAGE), requires_grad=True)
    (gradient,) = rv.grad(rv.ops.sum(layers.L2Pooling2D(dtype="float64")(zeros)), [zeros])
    assert not gradient.numpy().any()
    assert np.isnan(layers.L2Pooling2D()(np.full(IMAGE, np.nan)).numpy()).all()


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = np.random.default_rng(0).standard_normal((400, 500)).astype("float32")
    y = layers.AlphaDropout(0.2, seed=1)(x, training=True).numpy()
    assert abs(y.mean()) < 0.02 and abs(y.var() - 1) < 0.02
    values, counts = np.unique(y.round(4), return_counts=True)
    assert abs(counts.max() / y.size - 0.2) < 0.01 and values[counts.argmax()] < -1
    rows = layers.AlphaDropout(0.5, noise_shape=(None, 1), seed=1)(np.ones((50, 3)), training=True).numpy()
    assert (rows == rows[:, :1]).all() and len(np.unique(rows)) == 2


def test_gaussian_dropout_has_the_variance_of_dropout() -> None:
    y = layers.GaussianDropout(0.2, seed=1)(np.ones((400, 500)), training=True).numpy()
    assert abs(y.mean() - 1) < 0.01 and abs(y.var() - 0.25) < 0.01


def test_spatial_dropout_1d_drops_channels() -> None:
    y = layers.SpatialDropout1D(0.5, seed=1)(rv.ops.ones((4, 5, 8)), training=True).numpy()
    assert ((y == 0).all(1) | (y == 2).all(1)).all() and (y == 0).any() and (y == 2).any()


@pytest.mark.parametrize("name", ["AlphaDropout", "GaussianDropout", "SpatialDropout1D"])
def test_seeded_layers_repeat(name: str) -> None:
    first, twin, other = (getattr(layers, name)(0.4, seed=s)(X, training=True).numpy() for s in (1, 1, 2))
    np.testing.assert_array_equal(first, twin)
    assert not np.array_equal(first, other)


def test_activity_regularization_joins_the_loss() -> None:
    ours, theirs = (k.layers.ActivityRegularization(l1=0.3, l2=0.2) for k in (rv, keras))
    ours(X), theirs(X)
    np.testing.assert_allclose(ours.losses[0].item(), float(theirs.losses[0]), rtol=1e-5)


def test_functional_dot() -> None:
    a, b = rv.Input((3, 4)), rv.Input((4, 5))
    model = rv.Model([a, b], layers.dot([a, b], axes=(2, 1)))
    x, y = (np.random.default_rng(i).standard_normal(s).astype("float32") for i, s in enumerate([(2, 3, 4), (2, 4, 5)]))
    np.testing.assert_allclose(model([x, y]).numpy(), x @ y, rtol=1e-5, atol=1e-6)


def test_old_and_short_names() -> None:
    for name in vars(keras.layers):
        ours, theirs = getattr(layers, name, None) if hasattr(layers, name) else None, getattr(keras.layers, name)
        if isinstance(theirs, type) and theirs.__name__ != name and hasattr(layers, theirs.__name__):
            assert ours is getattr(layers, theirs.__name__), name


MESSAGES = {
    "window": (lambda: layers.MaxPooling1D(9)(X), "the window is larger than the input of shape"),
    "rank": (lambda: layers.AveragePooling1D(2)(X[0]), "expected ndim=3, found ndim=2"),
    "pool size": (lambda: layers.MaxPooling1D((2, 2)), "pool_size must be one integer, got"),
    "channels first": (lambda: layers.GlobalMaxPooling1D("channels_first"), r"rv.ops.transpose\(x, \(0, 2, 1\)\)"),
    "padding": (lambda: layers.ZeroPadding1D((1, -1)), r"padding must be n or \(before, after\)"),
    "cropping": (lambda: layers.Cropping1D((3, 2))(X), r"cropping \(3, 2\) leaves nothing of \(3, 5, 4\)"),
    "size": (lambda: layers.UpSampling1D(0), "size must be a positive integer, got 0"),
    "interpolation": (lambda: layers.UpSampling2D(interpolation="bilinera"), "Did you mean 'bilinear'"),
    "rate": (lambda: layers.GaussianDropout(1), r"GaussianDropout: rate must be a number in \[0, 1\), got 1"),
    "shared axes": (lambda: layers.PReLU(shared_axes=[3])(X), r"shared_axes \[3\] must be axes of the input"),
    "unknown size": (lambda: layers.PReLU()(rv.Input((None, 4))), "axis 1 of the input must be known to build it"),
    "softmax mask": (lambda: layers.Softmax()(X, mask=MASK), r"mask of shape \(3, 5\) does not fit inputs of shape"),
    "dot axes": (lambda: layers.Dot((1, 2))([X, X]), "has size 5, axis 2 of the second"),
    "dot batch": (lambda: layers.Dot(0)([X, X]), "axis 0 is not an axis of an input of shape"),
    "dot count": (lambda: layers.Dot(1)([X, X, X]), "exactly 2 inputs, got 3"),
    "even width": (lambda: layers.LocalSubtractiveNormalization(4), "kernel_size must be odd, got 4"),
    "sigma": (lambda: layers.LocalSubtractiveNormalization(3, sigma=0), "sigma must be positive, got 0"),
}


@pytest.mark.parametrize(("call", "message"), MESSAGES.values(), ids=MESSAGES)
def test_messages(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
