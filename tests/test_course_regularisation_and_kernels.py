"""Course oracles: image kernels (W20), dropout (F31), penalties (F32)."""

from __future__ import annotations

import numpy as np
import pytest

import ranvier as rv

BINOMIAL3 = np.outer([1, 2, 1], [1, 2, 1]) / 16
BINOMIAL5 = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
UNSHARP = -np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256.0
UNSHARP[2, 2] = 476 / 256

EDGES = {
    "corners": [[1, 0, -1], [0, 0, 0], [-1, 0, 1]],
    "cross": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "outline": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    "outline of part A": [[1, 1, 1], [1, -8, 1], [1, 1, 1]],
}
OTHERS = {
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "box": np.full((3, 3), 1 / 9),
    "gauss 3": BINOMIAL3,
    "gauss 5": BINOMIAL5,
    "unsharp": UNSHARP,
}


def filtered(image: np.ndarray, kernel: object) -> np.ndarray:
    """The image under a kernel, by the convolution of ``rv.ops`` (valid, one channel)."""
    weights = np.asarray(kernel, np.float64)[:, :, None, None]
    return rv.ops.conv2d(rv.Tensor(image[None, :, :, None]), rv.Tensor(weights)).numpy()[0, :, :, 0]


@pytest.mark.parametrize("device", ["cpu", "reference"])
@pytest.mark.parametrize("name", [*EDGES, *OTHERS])
def test_w20_a_flat_image_shows_the_sum_of_the_kernel(name: str, device: str) -> None:
    """Edge kernels sum to 0 and leave nothing of a flat image; the others sum to 1 and leave it as it is."""
    kernel = EDGES.get(name, OTHERS.get(name))
    with rv.device(device):
        flat = filtered(np.full((9, 8), 7.0), kernel)
    np.testing.assert_allclose(flat, 0.0 if name in EDGES else 7.0, atol=1e-13)


@pytest.mark.parametrize("name", [*EDGES, *OTHERS])
def test_w20_a_single_pixel_shows_the_kernel_turned(name: str) -> None:
    """Convolution here is cross-correlation (F36): a single bright pixel draws the kernel rotated by 180 degrees."""
    kernel = np.asarray(EDGES.get(name, OTHERS.get(name)), np.float64)
    side = 2 * kernel.shape[0] - 1
    image = np.zeros((side, side))
    image[side // 2, side // 2] = 1.0
    np.testing.assert_array_equal(filtered(image, kernel), kernel[::-1, ::-1])


def test_f31_dropout_is_inverted_and_silent_at_test_time() -> None:
    rv.utils.set_random_seed(3)
    layer = rv.layers.Dropout(0.25, dtype="float64")
    x = rv.Tensor(np.ones((200, 500)))
    kept = layer(x, training=True).numpy()
    assert set(np.unique(kept)) == {0.0, 1 / 0.75}
    # 100,000 draws of probability 0.75: five standard deviations
    assert abs((kept != 0).mean() - 0.75) < 5 * np.sqrt(0.75 * 0.25 / kept.size)
    np.testing.assert_array_equal(layer(x, training=False).numpy(), x.numpy())


def test_f32_penalties_have_no_half() -> None:
    weights = rv.Tensor(np.array([[1.0, -2.0], [3.0, 0.0]]))
    assert rv.regularizers.L1(0.01)(weights).item() == pytest.approx(0.01 * 6, rel=1e-15)
    assert rv.regularizers.L2(0.01)(weights).item() == pytest.approx(0.01 * 14, rel=1e-15)
    assert rv.regularizers.L1L2(0.01, 0.1)(weights).item() == pytest.approx(0.01 * 6 + 0.1 * 14, rel=1e-15)


def test_f32_a_kernel_penalty_joins_the_loss() -> None:
    layer = rv.layers.Dense(2, kernel_regularizer=rv.regularizers.L1(0.001))
    layer(np.ones((1, 3), np.float32))
    expected = 0.001 * np.abs(layer.kernel.numpy()).sum()
    assert sum(loss.item() for loss in layer.losses) == pytest.approx(expected, rel=1e-6)
