"""Every step of the teaching ladders computes what the reference says, on odd sizes and under every instruction set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core, reference

STEPS = [(op, step) for op, names in _core._ladder_steps().items() for step in range(len(names))]
UNIT = 2.0**-24
EPSILON = 1e-3


@pytest.fixture(params=_core._usable_isas())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before = _core._isa()
    _core._set_isa(request.param)
    yield request.param
    _core._set_isa(before)


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def arrays(*values: np.ndarray) -> list[Any]:
    return [_core.Array.from_numpy(v) for v in values]


def steps_of(op: str) -> list[int]:
    return [step for name, step in STEPS if name == op]


def gamma(k: int) -> float:
    """The forward error of a sum of k products: gamma_k = k u / (1 - k u)."""
    return k * UNIT / (1 - k * UNIT)


def same_on_any_threads(function: Callable[[], np.ndarray]) -> np.ndarray:
    before = rv.num_threads()
    try:
        rv.set_num_threads(1)
        one = function()
        rv.set_num_threads(2)
        two = function()
    finally:
        rv.set_num_threads(before)
    np.testing.assert_array_equal(one, two)
    return one


GEMMS = [
    (1, 1, 1),
    (7, 5, 3),
    (12, 32, 256),
    (13, 33, 257),
    (50, 67, 300),
    (3, 530, 9),
    (4, 0, 3),
    (3, 2, 0),
    (0, 3, 2),
]


@pytest.mark.parametrize(("m", "n", "k"), GEMMS)
@pytest.mark.parametrize("step", steps_of("gemm"))
def test_gemm(step: int, m: int, n: int, k: int, isa: str) -> None:
    a, b = numbers(m, k), numbers(k, n)
    c = same_on_any_threads(lambda: _core._ladder_gemm(step, *arrays(a, b)).numpy())
    exact = a.astype(np.float64) @ b.astype(np.float64)
    assert (np.abs(c - exact) <= gamma(k + 3) * (np.abs(a).astype(np.float64) @ np.abs(b))).all()


@pytest.mark.parametrize(
    ("shape", "window", "filters"),
    [
        ((1, 1, 1, 1), (1, 1), 1),
        ((2, 7, 6, 3), (3, 3), 5),
        ((1, 5, 30, 4), (2, 4), 33),
        ((3, 4, 15, 1), (3, 2), 32),
        ((0, 4, 4, 2), (3, 3), 4),
        ((2, 5, 5, 0), (3, 3), 4),
    ],
)
@pytest.mark.parametrize("step", steps_of("conv2d"))
def test_conv2d(step: int, shape: tuple[int, ...], window: tuple[int, int], filters: int, isa: str) -> None:
    x, kernel = numbers(*shape), numbers(*window, shape[3], filters)
    y = same_on_any_threads(lambda: _core._ladder_conv2d(step, *arrays(x, kernel)).numpy())
    geometry: Any = (None, (1, 1), "valid", (1, 1), 1)
    exact = reference.conv2d_forward(x.astype(np.float64), kernel.astype(np.float64), *geometry)[0]
    size = reference.conv2d_forward(np.abs(x).astype(np.float64), np.abs(kernel).astype(np.float64), *geometry)[0]
    assert (np.abs(y - exact) <= gamma(window[0] * window[1] * shape[3] + 3) * size).all()


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (5, 3), (3, 16), (4, 17), (2, 1000), (0, 3)])
@pytest.mark.parametrize("step", steps_of("softmax"))
def test_softmax(step: int, rows: int, columns: int, isa: str) -> None:
    x = 10 * numbers(rows, columns)
    y = same_on_any_threads(lambda: _core._ladder_softmax(step, *arrays(x)).numpy())
    exact = reference.softmax_forward(x.astype(np.float64), -1)
    # The subtraction rounds an argument of up to `spread`, which the exponential turns into a relative error of that
    # many units; the online step does so for each of the `columns` maxima that it may meet.
    spread = float(np.ptp(x)) if x.size else 0.0
    often = columns if _core._ladder_steps()["softmax"][step] == "online" else 1
    bound = (2 * often * (spread + 4) + columns + 8) * UNIT
    assert (np.abs(y - exact) <= bound * exact + np.finfo(np.float32).tiny).all()


@pytest.mark.parametrize("step", steps_of("softmax"))
def test_softmax_of_masked_scores(step: int, isa: str) -> None:
    x = np.full((2, 40), -np.inf, np.float32)
    x[:, [3, 20, 39]] = [1.0, 2.0, 0.0]
    y = _core._ladder_softmax(step, *arrays(x)).numpy()
    np.testing.assert_allclose(y, reference.softmax_forward(x, -1), rtol=1e-6)


@pytest.mark.parametrize(("rows", "channels"), [(1, 1), (3, 5), (130, 17), (257, 64), (300, 33), (0, 4), (4, 0)])
@pytest.mark.parametrize("step", steps_of("batch_norm"))
def test_batch_norm(step: int, rows: int, channels: int, isa: str) -> None:
    x, scale, shift = 3 * numbers(rows, channels) + 1, numbers(channels), numbers(channels)
    y = same_on_any_threads(lambda: _core._ladder_batch_norm(step, *arrays(x, scale, shift), EPSILON).numpy())
    wide = x.astype(np.float64)
    if rows == 0:
        assert y.shape == (0, channels)
        return
    mean, variance = wide.mean(0), wide.var(0)
    deviation = np.sqrt(variance + EPSILON)
    exact = np.maximum(scale * (wide - mean) / deviation + shift, 0)
    # Errors of the two statistics, each of a sum over the rows, carried through the formula.
    far = np.abs(wide - wide[:1]).mean(0) + np.abs(wide).mean(0)
    off_mean = gamma(rows + 6) * far
    off_variance = gamma(rows + 8) * (((wide - wide[:1]) ** 2).mean(0) + variance) + 2 * far * off_mean
    relative = off_variance / (2 * deviation**2) + 8 * UNIT
    bound = np.abs(scale) * (off_mean / deviation + (np.abs(wide) + np.abs(mean)) / deviation * relative)
    assert (np.abs(y - exact) <= bound + 4 * UNIT * np.abs(shift)).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: _core._ladder_gemm(7, *arrays(numbers(2, 2), numbers(2, 2))),
            ValueError,
            "step must be between 0 and 6",
        ),
        (
            lambda: _core._ladder_gemm(0, *arrays(numbers(2, 3), numbers(2, 2))),
            ValueError,
            "a has 3 columns but b has 2",
        ),
        (lambda: _core._ladder_gemm(0, *arrays(np.ones((2, 2)), numbers(2, 2))), TypeError, "a must be float32"),
        (
            lambda: _core._ladder_conv2d(0, *arrays(numbers(1, 2, 2, 1), numbers(3, 3, 1, 1))),
            ValueError,
            "does not fit",
        ),
        (lambda: _core._ladder_softmax(0, *arrays(numbers(3))), ValueError, "x must have rank 2"),
    ],
)
def test_refusals(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
