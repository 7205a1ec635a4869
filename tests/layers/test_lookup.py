"""StringLookup and IntegerLookup. Keras's need TensorFlow, so the expected numbers are those of its documentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier.layers import IntegerLookup, StringLookup

WORDS = ["a", "b", "c", "d"]
DATA = np.array([["a", "c", "d"], ["d", "z", "b"]])
NUMBERS = np.array([[12, 1138, 42], [42, 1000, 36]])


def test_strings_of_a_vocabulary() -> None:
    assert StringLookup(vocabulary=WORDS)(DATA).tolist() == [[1, 3, 4], [4, 0, 2]]
    assert StringLookup(vocabulary=WORDS)(["a", "q"]).dtype == "int64"
    assert StringLookup(vocabulary=WORDS)(np.array([b"b"])).tolist() == [2]
    masked = StringLookup(vocabulary=["", "[UNK]", *WORDS], mask_token="")
    assert masked([["a", "", "q"]]).tolist() == [[2, 0, 1]]
    assert masked.get_vocabulary() == ["", "[UNK]", *WORDS] and masked.vocabulary_size() == 6
    assert masked.get_vocabulary(include_special_tokens=False) == WORDS


def test_integers_of_a_vocabulary() -> None:
    layer = IntegerLookup(vocabulary=[12, 36, 1138, 42])
    assert layer(NUMBERS).tolist() == [[1, 3, 4], [4, 0, 2]]
    several = IntegerLookup(vocabulary=[12, 36, 1138, 42], num_oov_indices=2)
    assert several(np.array([[37, 1000], [12, -3]])).tolist() == [[1, 0], [2, 1]]
    inverse = IntegerLookup(vocabulary=[12, 36, 1138, 42], invert=True)
    assert inverse(layer(NUMBERS)).tolist() == [[12, 1138, 42], [42, -1, 36]]


def test_the_way_back() -> None:
    back = StringLookup(vocabulary=WORDS, invert=True)(rv.Tensor(np.array([[1, 3, 4], [4, 0, 2]])))
    assert back.tolist() == [["a", "c", "d"], ["d", "[UNK]", "b"]]


def test_adapt_takes_the_most_frequent() -> None:
    layer = StringLookup()
    layer.adapt(DATA)
    assert layer.get_vocabulary() == ["[UNK]", "d", "z", "c", "b", "a"]
    few = StringLookup(max_tokens=3, mask_token="z")
    few.adapt(iter([DATA, DATA[:1]]))
    assert few.get_vocabulary() == ["z", "[UNK]", "d"]
    numbers = IntegerLookup()
    numbers.adapt(NUMBERS)
    assert numbers.get_vocabulary() == [-1, 42, 1138, 1000, 36, 12]


@pytest.mark.parametrize(
    ("mode", "data", "expected"),
    [
        ("one_hot", ["a", "d", "z"], [[0, 1, 0, 0, 0], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0]]),
        ("one_hot", [["a"], ["b"]], [[0, 1, 0, 0, 0], [0, 0, 1, 0, 0]]),
        ("multi_hot", [["a", "c", "d", "d"], ["d", "z", "b", "z"]], [[0, 1, 0, 1, 1], [1, 0, 1, 0, 1]]),
        ("count", [["a", "c", "d", "d"], ["d", "z", "b", "z"]], [[0, 1, 0, 1, 2], [2, 0, 1, 0, 1]]),
    ],
)
def test_modes(mode: str, data: Any, expected: Any) -> None:
    layer = StringLookup(vocabulary=WORDS, output_mode=mode)
    assert layer(np.array(data)).tolist() == expected
    padded = StringLookup(vocabulary=WORDS, output_mode=mode, max_tokens=7, pad_to_max_tokens=True)
    assert padded(np.array(data)).shape[-1] == 7


def test_tf_idf() -> None:
    layer = StringLookup(output_mode="tf_idf")
    layer.set_vocabulary(WORDS, idf_weights=[0.25, 0.75, 0.6, 0.4])
    found = layer([["a", "c", "d", "d"], ["d", "z", "b", "z"]]).numpy()
    np.testing.assert_allclose(found, [[0, 0.25, 0, 0.6, 0.8], [1.0, 0, 0.75, 0, 0.4]], rtol=1e-6)
    learnt = IntegerLookup(output_mode="tf_idf")
    learnt.adapt([[1, 2], [1, 3]])
    idf = np.log(1 + 2 / (1 + np.array([2, 1, 1])))
    np.testing.assert_allclose(learnt([[1, 1, 3]]).numpy(), [[0, 2 * idf[0], idf[1], 0]], rtol=1e-6)
    assert learnt.get_vocabulary() == [-1, 1, 3, 2]


def test_in_a_model_and_in_a_file(tmp_path: Path) -> None:
    lookup = IntegerLookup(vocabulary=[5, 9], name="ids")
    model = rv.Sequential([rv.Input((3,), dtype="int64"), lookup, rv.layers.Embedding(3, 2), rv.layers.Flatten()])
    x = np.array([[5, 9, 7], [9, 9, 5]])
    expected = model(x).numpy()
    model.save(tmp_path / "m.rv")
    np.testing.assert_array_equal(rv.models.load_model(tmp_path / "m.rv")(x).numpy(), expected)
    (tmp_path / "words.txt").write_text("a\nb\n")
    assert StringLookup(vocabulary=str(tmp_path / "words.txt"))(["b"]).tolist() == [2]


@pytest.mark.parametrize("make", [StringLookup, IntegerLookup])
def test_configurations(make: Any) -> None:
    data = DATA if make is StringLookup else NUMBERS
    layer = make(output_mode="tf_idf", max_tokens=4, pad_to_max_tokens=True, num_oov_indices=2)
    layer.adapt(data)
    twin = make.from_config(json.loads(json.dumps(layer.get_config())))
    np.testing.assert_allclose(twin(data).numpy(), layer(data).numpy())
    assert twin.get_config() == layer.get_config()
    again = StringLookup(num_oov_indices=3, vocabulary=["w"])(["x", "y", "x"]).tolist()
    assert again[0] == again[2] and all(n < 3 for n in again)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StringLookup(output_mode="counts"), "'counts'.*count"),
        (lambda: StringLookup(invert=True, output_mode="count"), "must be 'int' when `invert` is true"),
        (lambda: StringLookup(vocabulary=[]), "the vocabulary is empty"),
        (lambda: StringLookup(vocabulary=["a", "b", "a"]), "has 'a' more than once"),
        (lambda: StringLookup(vocabulary=["a", ""], mask_token=""), "'' is reserved"),
        (lambda: StringLookup(vocabulary=WORDS, max_tokens=4), "more than max_tokens=4"),
        (lambda: StringLookup(vocabulary=WORDS, output_mode="tf_idf"), "idf_weights must be given"),
        (lambda: StringLookup(vocabulary=WORDS, output_mode="tf_idf", idf_weights=[1.0]), "one number for each"),
        (lambda: StringLookup()(["a"]), r"call adapt\(data\) first"),
        (lambda: StringLookup(vocabulary=WORDS, num_oov_indices=0)(["q"]), "'q' is not in the vocabulary"),
        (lambda: StringLookup(vocabulary=WORDS)([1, 2]), "expected strings, got values of dtype int64"),
        (lambda: IntegerLookup(vocabulary=[1])([1.5]), "expected integers"),
        (lambda: IntegerLookup(num_oov_indices=-1), "must not be negative"),
        (lambda: IntegerLookup(sparse=True), "arrays are dense"),
    ],
)
def test_refusals(make: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()
