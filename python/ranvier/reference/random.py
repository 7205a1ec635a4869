"""Philox4x32-10 and the random arrays made of it, in NumPy.

Element i takes word i of the stream (32-bit draws) or words 2i and 2i+1 (64-bit draws), so the kernels agree
with this bit for bit: integers are exact, and floats use only operations that IEEE 754 rounds once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = [
    "dropout_forward",
    "philox4x32",
    "random_bernoulli",
    "random_bits",
    "random_integers",
    "random_normal",
    "random_permutation",
    "random_uniform",
]

LOW_WORD = np.uint64(0xFFFFFFFF)
WORD = np.uint64(32)


def philox4x32(counter: Any, key: Any) -> np.ndarray:
    """Philox4x32-10 blocks: counters (..., 4) and a key (2,) of 32-bit words -> (..., 4) words, held in uint64."""
    c = np.asarray(counter, np.uint64)
    k0, k1 = (int(word) for word in key)
    c0, c1, c2, c3 = c[..., 0], c[..., 1], c[..., 2], c[..., 3]
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2  # 32 x 32 -> 64 bits
        c0, c1, c2, c3 = (
            (p1 >> WORD) ^ c1 ^ np.uint64(k0),
            p1 & LOW_WORD,
            (p0 >> WORD) ^ c3 ^ np.uint64(k1),
            p0 & LOW_WORD,
        )
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return np.stack([c0, c1, c2, c3], -1)


def words(n: int, key: int, counter: int) -> np.ndarray:
    """The first ``n`` words of the stream that starts at block ``counter``, in uint64."""
    blocks = np.uint64(counter) + np.arange((n + 3) // 4, dtype=np.uint64)  # wraps at 2**64
    zero = np.zeros_like(blocks)
    counters = np.stack([blocks & LOW_WORD, blocks >> WORD, zero, zero], -1)
    return philox4x32(counters, (key % 2**32, key >> 32)).reshape(-1)[:n]


def long_words(n: int, key: int, counter: int) -> np.ndarray:
    """The first ``n`` pairs of words as 64-bit numbers, the first word of a pair the low one."""
    pairs = words(2 * n, key, counter).reshape(n, 2)
    return pairs[:, 0] | pairs[:, 1] << WORD


def random_bits(shape: Any, key: int, counter: int, device: str = "") -> np.ndarray:
    return words(math.prod(shape), key, counter).astype(np.int64).reshape(shape)


def random_uniform(
    shape: Any, key: int, counter: int, low: float = 0.0, high: float = 1.0, dtype: str = "float32", device: str = ""
) -> np.ndarray:
    n = math.prod(shape)
    if dtype == "float32":
        unit = (words(n, key, counter) >> np.uint64(8)).astype(np.float64) * 2.0**-24
    else:
        unit = (long_words(n, key, counter) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    values = (low + (high - low) * unit).astype(dtype)
    bounds = np.array([high, low], dtype)
    return np.where(values < bounds[0], values, np.nextafter(*bounds)).reshape(shape)  # rounding may reach high


def random_normal(
    shape: Any,
    key: int,
    counter: int,
    mean: float = 0.0,
    stddev: float = 1.0,
    truncated: bool = False,
    dtype: str = "float32",
    device: str = "",
) -> np.ndarray:
    n = math.prod(shape)
    if dtype == "float32":
        p = (words(n, key, counter).astype(np.float64) + 0.5) * 2.0**-32
    else:
        p = ((long_words(n, key, counter) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    if truncated:  # at two standard deviations: Phi(-2) and Phi(2) - Phi(-2)
        z = np.clip(inverse_normal(0.022750131948179207 + 0.9544997361036416 * p), -2.0, 2.0)
    else:
        z = inverse_normal(p)
    return (mean + stddev * z).astype(dtype).reshape(shape)


def exact_log(x: np.ndarray) -> np.ndarray:
    """log(x) = e ln 2 + 2 atanh(s), where x = m 2**e with m near 1 and s = (m - 1) / (m + 1)."""
    m, exponent = np.frexp(x)  # m in [1/2, 1)
    e = exponent.astype(np.float64)
    small = m < 0.70710678118654752
    m, e = np.where(small, m * 2.0, m), np.where(small, e - 1.0, e)
    s = (m - 1.0) / (m + 1.0)
    t = s * s
    series = np.full_like(t, 1.0 / 21.0)
    for k in range(19, 0, -2):
        series = series * t + 1.0 / k
    return e * 6.93147180369123816490e-01 + (2.0 * s * series + e * 1.90821492927058770002e-10)


def polynomial(coefficients: tuple[float, ...], r: np.ndarray) -> np.ndarray:
    total = np.full_like(r, coefficients[-1])
    for c in coefficients[-2::-1]:
        total = total * r + c
    return total


# fmt: off
CENTRAL = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)
MIDDLE = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)
FAR = (
    (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
)
# fmt: on


def ratio(form: tuple[tuple[float, ...], tuple[float, ...]], r: np.ndarray) -> np.ndarray:
    return polynomial(form[0], r) / polynomial(form[1], r)


def inverse_normal(p: np.ndarray) -> np.ndarray:
    """Phi^-1(p) for 0 < p < 1: Wichura, algorithm AS 241 (PPND16), Applied Statistics 37 (1988)."""
    q = p - 0.5
    r = 0.180625 - q * q
    central = q * polynomial(CENTRAL[0], r) / polynomial(CENTRAL[1], r)
    tail = np.sqrt(-exact_log(np.where(p < 0.5, p, 1.0 - p)))
    outside = np.where(tail <= 5.0, ratio(MIDDLE, tail - 1.6), ratio(FAR, tail - 5.0))
    return np.where(np.abs(q) <= 0.425, central, np.where(p < 0.5, -outside, outside))


def random_bernoulli(shape: Any, key: int, counter: int, probability: float = 0.5, device: str = "") -> np.ndarray:
    return (words(math.prod(shape), key, counter) < np.uint64(int(probability * 2.0**32))).reshape(shape)


def high_half(a: np.ndarray, b: int) -> np.ndarray:
    """The upper 64 bits of the 128-bit products of ``a`` (uint64) and ``b``, by halves."""
    a0, a1 = a & LOW_WORD, a >> WORD
    b0, b1 = np.uint64(b % 2**32), np.uint64(b >> 32)
    middle = a1 * b0 + (a0 * b0 >> WORD)
    return a1 * b1 + (middle >> WORD) + ((a0 * b1 + (middle & LOW_WORD)) >> WORD)


def random_integers(shape: Any, key: int, counter: int, low: int, high: int, device: str = "") -> np.ndarray:
    offsets = high_half(long_words(math.prod(shape), key, counter), high - low)
    return (np.uint64(low % 2**64) + offsets).view(np.int64).reshape(shape)


def random_permutation(n: int, key: int, counter: int, device: str = "") -> np.ndarray:
    return np.argsort(long_words(n, key, counter), kind="stable").astype(np.int64)


def dropout_forward(x: np.ndarray, rate: float, key: int, counter: int) -> np.ndarray:
    dropped = random_bernoulli(x.shape, key, counter, rate)
    return np.where(dropped, x.dtype.type(0), x * x.dtype.type(1.0 / (1.0 - rate)))
