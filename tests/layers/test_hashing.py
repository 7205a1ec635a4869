"""Hashing and HashedCrossing: known values of the hash functions, and the numbers of Keras's documentation."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier.utils.hashes import crossed64, farmhash64, siphash64

# Of Google's C++ FarmHash (PyPI's pyfarmhash), for texts of every branch: up to 16, 32, 64 bytes, and rounds of 64.
FARMHASH = [
    (0, 0x9AE16A3B2F90404F),
    (1, 0x3E0AE463957D9A21),
    (3, 0x8BE6488F8129EDDF),
    (4, 0xDCDC76203B45A6A9),
    (7, 0x6DA2F2C1191903DB),
    (8, 0xDBB343A5A97AEFAE),
    (12, 0x32537DA614F2568),
    (16, 0x3B129F5B50D99D9D),
    (17, 0x4E0D809EDACE01B6),
    (24, 0x16C4CC34FA15ADF0),
    (32, 0x4B98DD852C154A3B),
    (33, 0x5CB865C84EBC5F86),
    (50, 0x6E0A0F1AFF274A78),
    (64, 0x2E7DF0931A0A4EB4),
    (65, 0x689542C6C8C248B4),
    (100, 0x8FF69BBE6ABE00EF),
    (128, 0x2D073D071E7870FF),
    (129, 0x9F95FC4FC7B0D160),
    (200, 0x8E8B7FEF6965686F),
    (1000, 0x5BF8DBC0E8AE33B),
]


@pytest.mark.parametrize(("length", "expected"), FARMHASH)
def test_farmhash(length: int, expected: int) -> None:
    text = "".join(chr(97 + (i * i + 3 * length) % 26) for i in range(length))
    assert farmhash64(text.encode()) == expected


def test_known_values() -> None:
    """TensorFlow's own tests: Fingerprint64, string_to_hash_bucket_fast; the vector of SipHash's paper."""
    assert farmhash64(b"Hello") == 15404698994557526151
    assert farmhash64(b"World") == 18308117990299812472
    assert [farmhash64(c) % 10 for c in (b"a", b"b", b"c", b"d")] == [9, 2, 2, 5]
    key = [int.from_bytes(bytes(range(i, i + 8)), "little") for i in (0, 8)]
    assert siphash64(bytes(range(15)), key) == 0xA129CA6149BE45E5
    assert crossed64([1, 2]) != crossed64([2, 1])


LETTERS = [["A"], ["B"], ["C"], ["D"], ["E"]]


@pytest.mark.parametrize(
    ("options", "inputs", "expected"),
    [
        ({}, LETTERS, [1, 0, 1, 1, 2]),
        ({"mask_value": ""}, [["A"], ["B"], [""], ["C"], ["D"]], [1, 1, 0, 2, 2]),
        ({"salt": [133, 137]}, LETTERS, [1, 2, 1, 0, 2]),
        ({"salt": 133}, LETTERS, [0, 0, 2, 1, 0]),
    ],
    ids=str,
)
def test_the_examples_of_kerass_documentation(options: Any, inputs: Any, expected: list[int]) -> None:
    layer = rv.layers.Hashing(3, **options)
    found = layer(inputs)
    assert found.dtype == "int64"
    assert found.tolist() == [[bin] for bin in expected]
    twin = rv.layers.Hashing.from_config(json.loads(json.dumps(layer.get_config())))
    assert twin(np.array(inputs)).tolist() == found.tolist()
    hot = rv.layers.Hashing(3, **options, output_mode="one_hot")(inputs)
    np.testing.assert_array_equal(hot.numpy(), np.eye(3)[expected])
    both = rv.layers.Hashing(3, **options, output_mode="count")([[row[0] for row in inputs]])
    np.testing.assert_array_equal(both.numpy(), [np.bincount(expected, minlength=3)])


def test_numbers_are_hashed_as_their_texts() -> None:
    layer = rv.layers.Hashing(100)
    texts = layer([["12", "-7", "0"]]).tolist()
    assert layer(np.array([[12, -7, 0]])).tolist() == texts
    assert layer(np.array([[12.9, -7.2, 0.5]])).tolist() == texts
    assert layer(rv.Tensor(np.array([[12, -7, 0]], np.int32))).tolist() == texts
    numbers = rv.Input((3,), dtype="int32")
    model = rv.Model(numbers, rv.layers.Hashing(100)(numbers))
    assert model(np.array([[12, -7, 0]], np.int32)).tolist() == texts
    assert rv.layers.Hashing(100, mask_value=12)(np.array([12, 5])).tolist()[0] == 0


def test_crossing_as_in_kerass_documentation() -> None:
    first, second = np.array(["A", "B", "A", "B", "A"]), np.array([101, 101, 101, 102, 102])
    layer = rv.layers.HashedCrossing(5)
    assert layer((first, second)).tolist() == [1, 4, 1, 1, 3]
    assert layer((first[:, None], second[:, None])).tolist() == [[1], [4], [1], [1], [3]]
    assert layer((np.array("A"), np.array(101))).tolist() == 1
    hot = rv.layers.HashedCrossing(5, output_mode="one_hot")((first, second))
    np.testing.assert_array_equal(hot.numpy(), np.eye(5)[[1, 4, 1, 1, 3]])
    twin = rv.layers.HashedCrossing.from_config(json.loads(json.dumps(layer.get_config())))
    assert twin((first, second)).tolist() == [1, 4, 1, 1, 3]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rv.layers.Hashing(0), "num_bins"),
        (lambda: rv.layers.Hashing(3, output_mode="onehot"), "Did you mean 'one_hot'"),
        (lambda: rv.layers.Hashing(3, dtype="float32"), "needs dtype 'int32' or 'int64', got 'float32'"),
        (lambda: rv.layers.Hashing(3, salt="pepper"), "salt must be an integer or two of them, got 'pepper'"),
        (lambda: rv.layers.Hashing(3, output_mode="count", sparse=True), "arrays are dense"),
        (lambda: rv.layers.HashedCrossing(3)(["A"]), "expected a list of two or more features"),
        (
            lambda: rv.layers.HashedCrossing(3)((["A"], [1, 2])),
            "must have one shape, (), (N,) or (N, 1), got (1,), (2,)",
        ),
        (lambda: rv.layers.HashedCrossing(3, output_mode="count"), "output_mode"),
    ],
)
def test_messages(call: Any, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert words in str(caught.value)
