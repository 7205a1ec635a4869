"""Winograd's algorithm: what it costs in accuracy, where a NaN goes, and the switch that turns it off."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import ranvier as rv
from tests.opspec import normal


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = rv.config.winograd()
    yield
    rv.config.set_winograd(before)


def convolved(x: np.ndarray, w: np.ndarray, allowed: bool) -> np.ndarray:
    rv.config.set_winograd(allowed)
    return rv.ops.conv2d(x, w, padding="same").numpy()


def test_the_switch_selects_the_direct_sum() -> None:
    """Which is exact on small integers; the sums of Winograd's 4x4 tiles are not."""
    rng = np.random.default_rng(0)
    x, w = (rng.integers(-4, 5, shape).astype(np.float32) for shape in ((2, 12, 12, 32), (3, 3, 32, 32)))
    exact = rv.ops.conv2d(x.astype(np.float64), w.astype(np.float64), padding="same").numpy()
    np.testing.assert_array_equal(convolved(x, w, False), exact)
    assert (convolved(x, w, True) != exact).any()


@pytest.mark.parametrize("channels", [32, 128])
def test_error_is_at_most_three_times_that_of_the_direct_sum(channels: int) -> None:
    """1.7 to 1.9 times in RMS with normal numbers (usual points, 0, +-1 and +-2, would give more than three)."""
    x, w = normal((1, 16, 16, channels), 1).astype(np.float32), normal((3, 3, channels, channels), 2).astype(np.float32)
    exact = rv.ops.conv2d(x.astype(np.float64), w.astype(np.float64), padding="same").numpy()
    direct, winograd = (np.sqrt(np.mean((convolved(x, w, allowed) - exact) ** 2)) for allowed in (False, True))
    assert 0 < winograd < 3 * direct


def test_nan_reaches_its_outputs_and_at_most_their_tiles() -> None:
    x, w = normal((1, 24, 24, 16), 1).astype(np.float32), normal((3, 3, 16, 16), 2).astype(np.float32)
    x[0, 13, 13, 5] = np.nan
    lost = np.isnan(convolved(x, w, True)).all(-1)[0]
    assert lost[12:15, 12:15].all()
    lost[8:20, 8:20] = False
    assert not lost.any()
