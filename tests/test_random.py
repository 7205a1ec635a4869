"""Philox against its published vectors; every kernel against the reference bit for bit; distributions."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import ranvier as rv
from ranvier import _core, reference

# Random123 1.14, tests/kat_vectors, "philox4x32 10": counter, key, result.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def hex_words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_published_vectors(counter: str, key: str, expected: str) -> None:
    assert list(_core._philox4x32(hex_words(counter), hex_words(key))) == hex_words(expected)
    assert reference.philox4x32(hex_words(counter), hex_words(key)).tolist() == hex_words(expected)


words = st.integers(0, 2**32 - 1)


@given(st.lists(words, min_size=4, max_size=4), st.lists(words, min_size=2, max_size=2))
def test_blocks_agree_for_any_counter(counter: list[int], key: list[int]) -> None:
    assert list(_core._philox4x32(counter, key)) == reference.philox4x32(counter, key).tolist()


keys = st.integers(0, 2**64 - 1)
counters = keys | st.integers(2**64 - 300, 2**64 - 1) | st.integers(2**32 - 300, 2**32)  # carries, and the wrap
sizes = st.sampled_from([0, 1, 2, 3, 5, 63, 64, 65, 511, 512, 513, 1023, 1024, 1025, 4097, 40000])
DRAWS = {
    "bits": lambda k, n, key, counter: k.random_bits([n], key, counter),
    "uniform32": lambda k, n, key, counter: k.random_uniform([n], key, counter, -2.5, 1.25),
    "uniform64": lambda k, n, key, counter: k.random_uniform([n], key, counter, -2.5, 1.25, "float64"),
    "uniform_narrow": lambda k, n, key, counter: k.random_uniform([n], key, counter, 1.0, 1.0 + 2.0**-20),
    "normal32": lambda k, n, key, counter: k.random_normal([n], key, counter, 0.5, 3.0),
    "normal64": lambda k, n, key, counter: k.random_normal([n], key, counter, 0.5, 3.0, False, "float64"),
    "truncated32": lambda k, n, key, counter: k.random_normal([n], key, counter, truncated=True),
    "truncated64": lambda k, n, key, counter: k.random_normal([n], key, counter, truncated=True, dtype="float64"),
    "bernoulli": lambda k, n, key, counter: k.random_bernoulli([n], key, counter, 0.3),
    "integers": lambda k, n, key, counter: k.random_integers([n], key, counter, -7, 2**62),
    "permutation": lambda k, n, key, counter: k.random_permutation(n, key, counter),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
@given(n=sizes, key=keys, counter=counters)
def test_kernels_equal_the_reference_bit_for_bit(draw, n: int, key: int, counter: int) -> None:  # type: ignore[no-untyped-def]
    expected = draw(reference, n, key, counter)
    for isa in _core._usable_isas():
        _core._set_isa(isa)
        for threads in (1, 2):
            rv.set_num_threads(threads)
            ours = draw(_core, n, key, counter).numpy()
            assert ours.dtype == expected.dtype
            # as bytes: -0 and +0 differ there
            np.testing.assert_array_equal(ours.view(np.uint8), expected.view(np.uint8), err_msg=f"{isa} {threads}")


def test_a_later_counter_continues_the_stream() -> None:
    whole = _core.random_uniform([4000], 5, 10).numpy()
    np.testing.assert_array_equal(_core.random_uniform([2000], 5, 10 + 500).numpy(), whole[2000:])


def test_same_draws_on_cpu_and_reference_device() -> None:
    drawn = []
    for device in ("cpu", "reference"):
        with rv.device(device):
            g = rv.random.Generator(11)
            drawn.append([
                g.uniform((3, 5)), g.normal((7,)), g.truncated_normal((2, 2)), g.bernoulli((9,), 0.4),
                g.integers((6,), 0, 10, dtype="int64"), g.permutation(17),
            ])  # fmt: skip
            assert all(t.device == device for t in drawn[-1])
    for ours, theirs in zip(*drawn, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


# --- distributions: fixed seeds, so that a red run repeats; 1e-4 is the chance that a right one is red -----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("draw", "distribution"),
    [
        (lambda g, d: g.uniform(100000, dtype=d), stats.uniform()),
        (lambda g, d: g.uniform(100000, -3, 5, dtype=d), stats.uniform(-3, 8)),
        (lambda g, d: g.normal(100000, dtype=d), stats.norm()),
        (lambda g, d: g.normal(100000, 2, 0.5, dtype=d), stats.norm(2, 0.5)),
        (lambda g, d: g.truncated_normal(100000, 1, 2, dtype=d), stats.truncnorm(-2, 2, loc=1, scale=2)),
    ],
)
def test_distribution(draw, distribution, dtype: str) -> None:  # type: ignore[no-untyped-def]
    values = draw(rv.random.Generator(2024), dtype).numpy().astype(np.float64)
    assert stats.kstest(values, distribution.cdf).pvalue > 1e-4
    n = values.size
    assert abs(values.mean() - distribution.mean()) < 4 * distribution.std() / n**0.5
    fourth = distribution.stats("k") + 3
    assert abs(values.var() / distribution.var() - 1) < 4 * ((fourth - 1) / n) ** 0.5
    # neighbours are independent
    correlation = np.corrcoef(values[:-1], values[1:])[0, 1]
    assert abs(correlation) < 4 / n**0.5


def test_discrete_distributions() -> None:
    g = rv.random.Generator(99)
    dice = np.bincount(g.integers(60000, 1, 7).numpy(), minlength=7)[1:]
    assert stats.chisquare(dice).pvalue > 1e-4
    assert abs(g.bernoulli(100000, 0.3).numpy().mean() - 0.3) < 4 * (0.21 / 100000) ** 0.5
    first = np.bincount([g.permutation(5).numpy()[0] for _ in range(2000)], minlength=5)
    assert stats.chisquare(first).pvalue > 1e-4
    assert sorted(g.permutation(1000).tolist()) == list(range(1000))


def test_inverse_normal_against_scipy() -> None:
    """The inverse distribution function itself, deep into the tails, against SciPy's."""
    p = np.concatenate([np.linspace(1e-6, 1 - 1e-6, 20001), 2.0 ** -np.arange(1, 53), 1 - 2.0 ** -np.arange(1, 53)])
    ours = reference.random.inverse_normal(p)
    theirs = stats.norm.ppf(p)
    # condition: a relative change u of p moves z by u p / phi(z)
    eps = np.finfo(np.float64).eps
    bound = 8 * eps * (np.abs(theirs) + np.minimum(p, 1 - p) / stats.norm.pdf(theirs))
    assert (np.abs(ours - theirs) <= bound).all()


def test_own_logarithm() -> None:
    x = np.concatenate([np.random.default_rng(0).uniform(1e-16, 1, 100000), 2.0 ** -np.arange(0.0, 60)])
    eps = np.finfo(np.float64).eps
    assert (np.abs(reference.random.exact_log(x) - np.log(x)) <= 2 * eps * np.abs(np.log(x))).all()


def test_limits_of_intervals() -> None:
    g = rv.random.Generator(1)
    narrow = g.uniform(100000, 1.0, float(np.nextafter(np.float32(1), np.float32(2)))).numpy()
    assert (narrow == 1.0).all()  # the one float32 in the interval; plain rounding would give the upper bound
    assert (g.uniform(5, 3.0, 3.0).numpy() == 3.0).all()
    assert np.abs(g.truncated_normal(100000).numpy()).max() <= 2.0
    assert not g.bernoulli(1000, 0.0).numpy().any()
    assert g.bernoulli(1000, 1.0).numpy().all()
    assert (g.integers(9, -(2**63), -(2**63) + 1, dtype="int64").numpy() == -(2**63)).all()
    everything = g.integers(4000, -(2**63), 2**63 - 1, dtype="int64").numpy()
    assert (everything < 0).any() and (everything > 0).any()


# --- the generator ----------------------------------------------------------------------------------------


def test_seeds_and_state() -> None:
    a, b = rv.random.Generator(3), rv.random.Generator(3)
    np.testing.assert_array_equal(a.normal(5).numpy(), b.normal(5).numpy())
    state = a.get_state()
    later = a.uniform(7).numpy()
    assert not np.array_equal(later, a.uniform(7).numpy())
    a.set_state(state)
    np.testing.assert_array_equal(later, a.uniform(7).numpy())
    assert not np.array_equal(rv.random.Generator(4).uniform(5).numpy(), rv.random.Generator(5).uniform(5).numpy())
    np.testing.assert_array_equal(rv.random.normal(4, seed=9).numpy(), rv.random.normal(4, seed=9).numpy())
    g = rv.random.Generator(9)
    np.testing.assert_array_equal(rv.random.normal(4, seed=g).numpy(), rv.random.normal(4, seed=9).numpy())
    assert g.get_state() != (9, 0)


def test_set_random_seed_makes_all_three_repeat() -> None:
    import random

    def draw() -> list[float]:
        return [random.random(), float(np.random.random()), rv.random.uniform(1).item()]

    rv.utils.set_random_seed(42)
    first = draw()
    assert draw() != first
    rv.utils.set_random_seed(42)
    assert draw() == first


def test_threads_sharing_a_generator_never_draw_the_same() -> None:
    g = rv.random.Generator(0)
    drawn: list[float] = []

    def work() -> None:
        for _ in range(200):
            drawn.extend(g.uniform(4, dtype="float64").tolist())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(set(drawn)) == 4 * 200 * 4


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 100, 1000, 2048, 2049, 100_003, 4_194_305])
def test_permutations_of_all_sizes_are_those_of_the_reference(n: int) -> None:
    ours = _core.random_permutation(n, 7, 3).numpy()
    np.testing.assert_array_equal(ours, reference.random_permutation(n, 7, 3))
    np.testing.assert_array_equal(np.sort(ours), np.arange(n))


def test_shuffle_and_permutation_of_rows() -> None:
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    mixed = rv.random.shuffle(x, seed=1).numpy()
    assert sorted(mixed.tolist()) == x.tolist()
    columns = rv.random.shuffle(x, axis=1, seed=1).numpy()
    assert sorted(columns.T.tolist()) == x.T.tolist()
    np.testing.assert_array_equal(rv.random.permutation(x, seed=1).numpy(), mixed)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: rv.random.Generator(-1), ValueError, "seed must be in"),
        (lambda: rv.random.Generator(2**64), ValueError, "seed must be in"),
        (lambda: rv.random.Generator(1.5), TypeError, "seed must be an integer"),  # type: ignore[arg-type]
        (lambda: rv.random.Generator(1).set_state((1, -1)), ValueError, "key and counter"),
        (lambda: rv.random.uniform(3, 2.0, 1.0), ValueError, "low is 2 but high is 1"),
        (lambda: rv.random.uniform(3, 0.0, float("inf")), ValueError, "high must be finite"),
        (lambda: rv.random.uniform(3, -1e308, 1e308), ValueError, "high - low must be finite"),
        (lambda: rv.random.uniform(3, dtype="int32"), TypeError, "must be floating"),
        (lambda: rv.random.uniform((3, -1)), ValueError, "negative side"),
        (lambda: rv.random.uniform((2**40, 2**40)), ValueError, "too many elements"),
        (lambda: rv.random.uniform(2.5), TypeError, "not iterable"),  # type: ignore[arg-type]
        (lambda: rv.random.uniform((2.5,)), TypeError, "integer"),  # type: ignore[arg-type]
        (lambda: rv.random.normal(3, stddev=-1.0), ValueError, "stddev must not be negative"),
        (lambda: rv.random.normal(3, mean=float("nan")), ValueError, "mean must be finite"),
        (lambda: rv.random.bernoulli(3, 1.5), ValueError, "probability must be in"),
        (lambda: rv.random.bernoulli(3, float("nan")), ValueError, "probability must be in"),
        (lambda: rv.random.integers(3, 5, 5), ValueError, "low is 5 but high is 5"),
        (lambda: rv.random.integers(3, 0, 2**40), ValueError, "does not fit int32"),
        (lambda: rv.random.integers(3, 0, 5, dtype="float32"), TypeError, "dtype must be"),
        (lambda: rv.random.permutation(-1), ValueError, "must not be negative"),
        (lambda: rv.random.permutation(1.0), ValueError, "scalar"),
        (lambda: rv.random.shuffle([1, 2], axis=1), ValueError, "axis 1 is out of range"),
        (lambda: rv.utils.set_random_seed(-1), ValueError, "seed must be in"),
        (lambda: rv.utils.set_random_seed("1"), TypeError, "seed must be an integer"),  # type: ignore[arg-type]
    ],
)
def test_refuses(call, error: type[Exception], match: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=match):
        call()


# --- dropout (its gradients and bad input: tests/specs/random.py) ------------------------------------------


def test_dropout_drops_and_scales() -> None:
    x = rv.Tensor(np.ones(100000, np.float32), requires_grad=True)
    y = rv.ops.dropout(x, 0.3, seed=5)
    values = y.numpy()
    assert set(np.unique(values)) == {np.float32(0), np.float32(1 / 0.7)}
    assert abs((values == 0).mean() - 0.3) < 4 * (0.21 / 100000) ** 0.5
    (dx,) = rv.grad([y], [x], [rv.Tensor(np.full(100000, 2, np.float32))])
    np.testing.assert_array_equal(dx.numpy(), 2 * values)  # the same mask
    rv.utils.set_random_seed(1)
    first = rv.ops.dropout(x, 0.5).numpy().copy()
    assert not np.array_equal(first, rv.ops.dropout(x, 0.5).numpy())
    rv.utils.set_random_seed(1)
    np.testing.assert_array_equal(first, rv.ops.dropout(x, 0.5).numpy())
    np.testing.assert_array_equal(rv.ops.dropout(x, 0.0).numpy(), x.numpy())


# --- utils --------------------------------------------------------------------------------------------------


def test_to_categorical_as_keras() -> None:
    np.testing.assert_array_equal(rv.utils.to_categorical([[0], [2]]), [[1, 0, 0], [0, 0, 1]])
    assert rv.utils.to_categorical(np.zeros((2, 3), int), 4).shape == (2, 3, 4)
    assert rv.utils.to_categorical([1.0, 0.0]).dtype == np.float32
    for labels, error in (([0.5], TypeError), ([3], ValueError), ([-1], ValueError)):
        with pytest.raises(error):
            rv.utils.to_categorical(labels, 3)
    with pytest.raises(ValueError, match="num_classes is needed"):
        rv.utils.to_categorical([])
