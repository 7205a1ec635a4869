"""The course's worked examples of convolution and pooling, with their exact figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as rv


@pytest.fixture(params=["cpu", "reference"], autouse=True)
def device(request: Any) -> Any:
    with rv.device(request.param):
        yield request.param


def grid(rows: str) -> np.ndarray:
    """A map from rows of digits, as the course prints them."""
    return np.array([[float(digit) for digit in row] for row in rows.split()])


def image(values: np.ndarray) -> Any:
    return rv.Tensor(values[None, :, :, None].astype(np.float32))


def convolve(values: np.ndarray, kernel: np.ndarray, **options: Any) -> np.ndarray:
    y = rv.ops.conv2d(image(values), rv.Tensor(kernel[:, :, None, None].astype(np.float32)), **options)
    return y.numpy()[0, :, :, 0]


def pool(op: Any, values: Any, **options: Any) -> np.ndarray:
    return op(image(np.asarray(values)), **options).numpy()[0, :, :, 0]


# --- W05: stride and padding ------------------------------------------------------------------------------

W05 = "11100 01110 00111 00110 "
W05_KERNEL = grid("101 010 101")


@pytest.mark.parametrize("last", ["01100", "00110"])
def test_w05_stride_one(last: str) -> None:
    np.testing.assert_array_equal(convolve(grid(W05 + last), W05_KERNEL), [[4, 3, 4], [2, 4, 3], [2, 3, 4]])


def test_w05_stride_two() -> None:
    np.testing.assert_array_equal(convolve(grid(W05 + "00110"), W05_KERNEL, strides=2), [[4, 4], [2, 4]])


@pytest.mark.parametrize("padding", ["same", ((1, 1), (1, 1))])
def test_w05_padded(padding: Any) -> None:
    printed_but_for_one_cell = grid("22311 14341 12433 02342 01221")  # the print has 2 at (0, 2)
    np.testing.assert_array_equal(convolve(grid(W05 + "00110"), W05_KERNEL, padding=padding), printed_but_for_one_cell)
    expected = grid("22311 14341 12433 12341 02211")
    np.testing.assert_array_equal(convolve(grid(W05 + "01100"), W05_KERNEL, padding=padding), expected)


# --- W06: the face ----------------------------------------------------------------------------------------

W06_KERNEL = grid("001 100 011")
W06_MAP = grid("01000 01110 10021 14210 00121")


def face() -> np.ndarray:
    values = np.zeros((7, 7))
    for cell in ((1, 1), (1, 5), (3, 3), (4, 1), (4, 5), (5, 2), (5, 3), (5, 4)):
        values[cell] = 1
    return values


def test_w06_valid() -> None:
    np.testing.assert_array_equal(convolve(face(), W06_KERNEL), W06_MAP)


def test_w06_same() -> None:
    found = convolve(face(), W06_KERNEL, padding="same")
    np.testing.assert_array_equal(found[1:6, 1:6], W06_MAP)
    np.testing.assert_array_equal(found[6], grid("0111000")[0])
    printed = grid("1100110 0010001 1011100 1101210 0142101 1001210 0011100")
    differs = {(3, 3)} | {(6, int(j)) for j in np.flatnonzero(printed[6] != grid("0111000")[0])}
    assert {(int(i), int(j)) for i, j in np.argwhere(found != printed)} == differs


# --- W07: pooling -----------------------------------------------------------------------------------------


def test_w07_max_pool_of_the_face_needs_same() -> None:
    np.testing.assert_array_equal(pool(rv.ops.max_pool2d, W06_MAP, padding="same"), grid("110 421 021"))
    assert pool(rv.ops.max_pool2d, W06_MAP).shape == (2, 2)


def test_w07_max_and_average() -> None:
    values = [[12, 20, 30, 0], [8, 12, 2, 0], [34, 70, 37, 4], [112, 100, 25, 12]]
    np.testing.assert_array_equal(pool(rv.ops.max_pool2d, values), [[20, 30], [112, 37]])
    np.testing.assert_array_equal(pool(rv.ops.avg_pool2d, values), [[13, 8], [79, 19.5]])


def test_w07_sizes_and_parameters() -> None:
    assert pool(rv.ops.max_pool2d, np.zeros((9, 6))).shape == (4, 3)
    assert (3 * 3 + 1) * 3 == 30  # three 3x3 filters with biases (F37)
    assert (36 + 1) * 3 == 111  # dense on 6x6


# --- W07b: two filters on the crossed image ---------------------------------------------------------------


def test_w07b_filters_and_pools() -> None:
    values = grid("100001 010010 001100 100010 010010 001010")
    first = np.array([[1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    second = np.array([[-1, 1, -1]] * 3)
    map_1 = [[3, -1, -3, -1], [-3, 1, 0, -3], [-3, -3, 0, 1], [3, -2, -2, -1]]
    map_2 = [[-1, -1, -1, -1], [-1, -1, -2, 1], [-1, -1, -2, 1], [-1, 0, -4, 3]]
    np.testing.assert_array_equal(convolve(values, first), map_1)
    np.testing.assert_array_equal(convolve(values, second), map_2)
    np.testing.assert_array_equal(pool(rv.ops.max_pool2d, map_1), [[3, 0], [3, 1]])
    np.testing.assert_array_equal(pool(rv.ops.max_pool2d, map_2), [[-1, 1], [0, 3]])


# --- W16, F35: output sizes -------------------------------------------------------------------------------


def conv_size(n: int, window: int = 3, **options: Any) -> int:
    y = rv.ops.conv2d(np.zeros((1, n, n, 1), np.float32), np.zeros((window, window, 1, 1), np.float32), **options)
    return int(y.shape[1])


def pool_size(n: int, **options: Any) -> int:
    return int(rv.ops.max_pool2d(np.zeros((1, n, n, 1), np.float32), **options).shape[1])


def test_w16_mnist() -> None:
    sizes = [28]
    for layer in (conv_size, pool_size, conv_size, pool_size, conv_size):
        sizes.append(layer(sizes[-1]))
    assert sizes[1:] == [26, 13, 11, 5, 3]
    assert sizes[-1] ** 2 * 64 == 576
    assert [conv_size(28), conv_size(26), conv_size(24)] == [26, 24, 22]


def test_w16_cats_and_dogs() -> None:
    sizes = [150]
    for _ in range(4):
        sizes += [conv_size(sizes[-1])]
        sizes += [pool_size(sizes[-1])]
    assert sizes[1:] == [148, 74, 72, 36, 34, 17, 15, 7]
    assert sizes[-1] ** 2 * 128 == 6272


def test_w16_vgg_at_150() -> None:
    sizes = [150]
    for _ in range(5):
        sizes.append(pool_size(conv_size(sizes[-1], padding="same")))
    assert sizes == [150, 75, 37, 18, 9, 4]


@pytest.mark.parametrize("n", [5, 7, 12])
@pytest.mark.parametrize("window", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_f35_output_sizes(n: int, window: int, stride: int) -> None:
    assert conv_size(n, window, strides=stride) == (n - window) // stride + 1 == -(-(n - window + 1) // stride)
    assert conv_size(n, window, strides=stride, padding="same") == -(-n // stride)
    padded = conv_size(n, window, strides=stride, padding=((2, 2), (2, 2)))
    assert padded == (n + 2 * 2 - window) // stride + 1


def test_f36_convolution_does_not_flip_the_kernel() -> None:
    values = np.arange(9.0).reshape(3, 3)
    kernel = grid("100 000 000")
    np.testing.assert_array_equal(convolve(values, kernel), [[0.0]])  # a flipped kernel would give 8


def test_f38_pool_gradient_goes_to_the_maximum() -> None:
    x = rv.Tensor(np.array([[1.0, 4.0], [4.0, 2.0]], np.float32)[None, :, :, None], requires_grad=True)
    rv.ops.max_pool2d(x).backward(rv.Tensor([[[[1.0]]]]))
    np.testing.assert_array_equal(x.grad.numpy()[0, :, :, 0], [[0, 1], [0, 0]])  # the first of two
    x.grad = None
    rv.ops.avg_pool2d(x).backward(rv.Tensor([[[[1.0]]]]))
    np.testing.assert_array_equal(x.grad.numpy()[0, :, :, 0], np.full((2, 2), 0.25))


@pytest.mark.parametrize(("strides", "size"), [(1, 7), (2, 11), (3, 15)])
def test_f39_transposed_convolution_is_the_adjoint(strides: int, size: int) -> None:
    """<conv(x), y> = <x, conv_transpose(y)>, and (n - 1) S + F outputs."""
    rng = np.random.default_rng(0)
    y, kernel = rng.normal(size=(2, 5, 5, 4)), rng.normal(size=(3, 3, 2, 4))
    back = rv.ops.conv2d_transpose(y, kernel, strides=strides)
    assert back.shape == (2, size, size, 2)
    x = rng.normal(size=back.shape)
    forward = rv.ops.conv2d(x, kernel, strides=strides)
    np.testing.assert_allclose((forward.numpy() * y).sum(), (x * back.numpy()).sum(), rtol=1e-12)


def test_gradient_penalty_through_convolution_and_pools() -> None:
    """The norm of an input gradient, differentiated: convolution, average and maximum pools (create_graph)."""
    rng = np.random.default_rng(1)
    x = rv.Tensor(rng.normal(size=(1, 6, 6, 2)), requires_grad=True)
    kernel = rv.Tensor(rng.normal(size=(3, 3, 2, 3)), requires_grad=True)

    def penalty(images: Any, weights: Any) -> Any:
        y = rv.ops.max_pool2d(rv.ops.conv2d(images, weights, padding="same"))
        z = rv.ops.avg_pool2d(y * y, 2, 1)
        (gradient,) = rv.grad([(z * z).sum()], [images], create_graph=True)
        return (gradient * gradient).sum() * 0.01

    rv.gradcheck(penalty, [x, kernel])
