"""Random numbers on the simulator are those of the CPU, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core

KEY, COUNTER = 0x123456789ABCDEF, (1 << 32) - 7  # the counter's carry falls into the array

DRAWS: dict[str, Any] = {
    "uniform": lambda n, d: _core.random_uniform([n], KEY, COUNTER, -1.0, 3.0, "float32", d),
    "uniform float64": lambda n, d: _core.random_uniform([n], KEY, COUNTER, -1.0, 3.0, "float64", d),
    "normal": lambda n, d: _core.random_normal([n], KEY, COUNTER, 1.0, 2.0, False, "float32", d),
    "normal float64": lambda n, d: _core.random_normal([n], KEY, COUNTER, 1.0, 2.0, False, "float64", d),
    "truncated": lambda n, d: _core.random_normal([n], KEY, COUNTER, 0.0, 1.0, True, "float64", d),
    "bits": lambda n, d: _core.random_bits([n], KEY, COUNTER, d),
    "bernoulli": lambda n, d: _core.random_bernoulli([n], KEY, COUNTER, 0.3, d),
    "integers": lambda n, d: _core.random_integers([n], KEY, COUNTER, -(2**62), 2**62 + 5, d),
    "permutation": lambda n, d: _core.random_permutation(n, KEY, COUNTER, d),
}


@pytest.mark.parametrize("schedule", ["forward", "reverse", "random"])
@pytest.mark.parametrize("name", DRAWS)
def test_the_bits_of_the_cpu(name: str, schedule: str) -> None:
    for n in (0, 1, 5, 1030, 2500):
        with rv.sim.options(schedule=schedule, seed=n):
            ours = DRAWS[name](n, "sim").numpy()
        right = DRAWS[name](n, "cpu").numpy()
        np.testing.assert_array_equal(ours.view(np.uint8), right.view(np.uint8), err_msg=f"{name} {n}")


def test_tails_of_the_normal() -> None:
    """Enough numbers for places beyond the middle formula (five deviations in 16 million float32 words)."""
    ours = _core.random_normal([20_000], 5, 0, 0.0, 1.0, False, "float64", "sim").numpy()
    np.testing.assert_array_equal(ours, _core.random_normal([20_000], 5, 0, 0.0, 1.0, False, "float64", "cpu").numpy())
    assert np.abs(ours).max() > 3.5
