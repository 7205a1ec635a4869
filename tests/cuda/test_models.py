"""Whole models train on a GPU, agree with the NumPy reference, and repeat bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.sim.test_models import images, sequences, trained


@pytest.mark.parametrize("make", [images, sequences])
def test_six_steps_agree_with_the_reference(make: Any) -> None:
    losses, weights = trained(make, "cuda")
    right_losses, right_weights = trained(make, "reference")
    np.testing.assert_allclose(losses, right_losses, rtol=1e-5)
    for ours, right in zip(weights, right_weights, strict=True):
        np.testing.assert_allclose(ours, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [images, sequences])
def test_training_repeats_bit_for_bit(make: Any) -> None:
    losses, weights = trained(make, "cuda")
    again_losses, again_weights = trained(make, "cuda")
    assert losses == again_losses
    for ours, again in zip(weights, again_weights, strict=True):
        np.testing.assert_array_equal(ours, again)
