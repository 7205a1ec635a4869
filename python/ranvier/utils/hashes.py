"""TensorFlow's hashes of strings, in 64-bit integers: FarmHash (fast), SipHash (with a key), and their crossing.

For layers that must give the numbers that Keras gives; none of them is for secrets.
"""

from __future__ import annotations

from collections.abc import Sequence

MASK = (1 << 64) - 1
K0, K1, K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
CROSSING = 0xDECAFCAFFE  # the key of TensorFlow's crossed features


def _rotate(value: int, count: int) -> int:
    """To the right."""
    value &= MASK
    return (value >> count | value << 64 - count) & MASK


def _mix(value: int) -> int:
    value &= MASK
    return value ^ value >> 47


def _join(u: int, v: int, mul: int) -> int:
    a = _mix((u ^ v) * mul)
    return _mix((v ^ a) * mul) * mul & MASK


def _word(s: bytes, at: int, size: int = 8) -> int:
    return int.from_bytes(s[at : at + size], "little")


def _up_to_16(s: bytes) -> int:
    n = len(s)
    mul = K2 + n * 2
    if n >= 8:
        a, b = (_word(s, 0) + K2) & MASK, _word(s, n - 8)
        return _join((_rotate(b, 37) * mul + a) & MASK, (_rotate(a, 25) + b) * mul & MASK, mul)
    if n >= 4:
        return _join((n + (_word(s, 0, 4) << 3)) & MASK, _word(s, n - 4, 4), mul)
    if n:
        y, z = s[0] + (s[n >> 1] << 8), n + (s[-1] << 2)
        return _mix((y * K2 ^ z * K0) & MASK) * K2 & MASK
    return K2


def _up_to_64(s: bytes) -> int:
    n = len(s)
    mul = K2 + n * 2
    a = _word(s, 0) * (K1 if n <= 32 else K2)
    b, c, d = _word(s, 8), _word(s, n - 8) * mul, _word(s, n - 16) * K2
    y = (_rotate(a + b, 43) + _rotate(c, 30) + d) & MASK
    z = _join(y, (a + _rotate(b + K2, 18) + c) & MASK, mul)
    if n <= 32:
        return z
    e, f = _word(s, 16) * mul, _word(s, 24)
    g, h = (y + _word(s, n - 32)) * mul, (z + _word(s, n - 24)) * mul
    return _join((_rotate(e + f, 43) + _rotate(g, 30) + h) & MASK, (e + _rotate(f + a, 18) + g) & MASK, mul)


def _weak(s: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    w, x, y, z = (_word(s, at + 8 * i) for i in range(4))
    a = (a + w) & MASK
    b = _rotate(b + a + z, 21)
    c = a
    a = (a + x + y) & MASK
    return (a + z) & MASK, (b + _rotate(a, 44) + c) & MASK


def _round(s: bytes, at: int, state: tuple[int, ...], mul: int, nine: int) -> tuple[int, ...]:
    """64 bytes into the state x, y, z, v, w."""
    x, y, z, v0, v1, w0, w1 = state
    x = _rotate(x + y + v0 + _word(s, at + 8), 37) * mul & MASK
    y = _rotate(y + v1 + _word(s, at + 48), 42) * mul & MASK
    x ^= w1 * nine & MASK
    y = (y + v0 * nine + _word(s, at + 40)) & MASK
    z = _rotate(z + w0, 33) * mul & MASK
    v0, v1 = _weak(s, at, v1 * mul, x + w0)
    w0, w1 = _weak(s, at + 32, z + w1, y + _word(s, at + 16))
    return z, y, x, v0, v1, w0, w1


def farmhash64(s: bytes) -> int:
    """FarmHash's Fingerprint64: the same on every machine. Source: Pike 2014 (farmhashna::Hash64).

    >>> farmhash64(b"Hello")
    15404698994557526151
    """
    n = len(s)
    if n <= 16:
        return _up_to_16(s)
    if n <= 64:
        return _up_to_64(s)
    y = 81 * K1 + 113 & MASK
    state: tuple[int, ...] = (81 * K2 + _word(s, 0) & MASK, y, _mix(y * K2 + 113) * K2 & MASK, 0, 0, 0, 0)
    for at in range(0, (n - 1) // 64 * 64, 64):
        state = _round(s, at, state, K1, 1)
    x, y, z, v0, v1, w0, w1 = state
    mul = K1 + ((z & 0xFF) << 1)
    w0 += (n - 1) & 63
    v0 += w0
    w0 += v0
    z, y, x, v0, v1, w0, w1 = _round(s, n - 64, (x, y, z, v0 & MASK, v1, w0 & MASK, w1), mul, 9)
    u = _join(v0, w0, mul) + _mix(y) * K0 + x
    return _join(u & MASK, (_join(v1, w1, mul) + z) & MASK, mul)


def _sip_round(v: list[int]) -> None:
    def left(value: int, count: int) -> int:
        return _rotate(value, 64 - count)

    v[0] = (v[0] + v[1]) & MASK
    v[2] = (v[2] + v[3]) & MASK
    v[1], v[3] = left(v[1], 13) ^ v[0], left(v[3], 16) ^ v[2]
    v[0] = left(v[0], 32)
    v[2] = (v[2] + v[1]) & MASK
    v[0] = (v[0] + v[3]) & MASK
    v[1], v[3] = left(v[1], 17) ^ v[2], left(v[3], 21) ^ v[0]
    v[2] = left(v[2], 32)


def siphash64(s: bytes, key: Sequence[int]) -> int:
    """SipHash-2-4 with a key of two 64-bit integers. Source: Aumasson and Bernstein 2012.

    >>> key = int.from_bytes(bytes(range(8)), "little"), int.from_bytes(bytes(range(8, 16)), "little")
    >>> hex(siphash64(bytes(range(15)), key))
    '0xa129ca6149be45e5'
    """
    low, high = (int(k) & MASK for k in key)
    v = [low ^ 0x736F6D6570736575, high ^ 0x646F72616E646F6D, low ^ 0x6C7967656E657261, high ^ 0x7465646279746573]
    n = len(s)
    padded = s + bytes(7 - n % 8) + bytes([n & 0xFF])
    for at in range(0, len(padded), 8):
        word = _word(padded, at)
        v[3] ^= word
        _sip_round(v)
        _sip_round(v)
        v[0] ^= word
    v[2] ^= 0xFF
    for _ in range(4):
        _sip_round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def crossed64(hashes: Sequence[int]) -> int:
    """One hash of several, in their order, as TensorFlow crosses features (FingerprintCat64)."""
    mul = 0xC6A4A7935BD1E995
    found = CROSSING
    for each in hashes:
        result = found ^ mul
        result ^= _mix(each * mul) * mul & MASK
        result = _mix(result * mul) * mul & MASK
        found = _mix(result)
    return found
