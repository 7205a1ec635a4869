"""TextVectorization, by hand (Keras's own needs TensorFlow): words, numbers, counts, configurations, messages."""

from __future__ import annotations

import inspect
import json
import math
import os
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import layers

TEXTS = ["The cat sat, the cat ran.", "A dog!", "the dog sat"]


def test_the_example_of_keras() -> None:
    """Of its documentation."""
    layer = layers.TextVectorization(max_tokens=5000, output_mode="int", output_sequence_length=4)
    layer.adapt(["foo bar", "bar baz", "baz bada boom"])
    assert layer(["foo qux bar", "qux baz"]).shape == (2, 4)
    given = layers.TextVectorization(vocabulary=["earth", "wind", "and", "fire"])
    assert given.get_vocabulary() == ["", "[UNK]", "earth", "wind", "and", "fire"]
    assert given(["earth fire water"]).tolist() == [[2, 5, 1]]


def test_words_by_frequency() -> None:
    layer = layers.TextVectorization()
    layer.adapt(TEXTS)
    assert layer.get_vocabulary() == ["", "[UNK]", "the", "sat", "dog", "cat", "ran", "a"]
    assert layer.vocabulary_size() == 8 and layer.get_vocabulary(include_special_tokens=False)[0] == "the"
    assert layer(np.array([["dog CAT bird"], ["the"]])).tolist() == [[4, 5, 1], [2, 0, 0]]
    assert layer([b"dog"]).dtype == "int64"
    few = layers.TextVectorization(max_tokens=4)
    few.adapt([batch for batch in TEXTS])
    assert few.get_vocabulary() == ["", "[UNK]", "the", "sat"]


def test_batches_are_one_text_after_another() -> None:
    whole, parts = layers.TextVectorization(), layers.TextVectorization()
    whole.adapt(TEXTS)
    parts.adapt(iter([TEXTS[:1], TEXTS[1:]]))
    assert whole.get_vocabulary() == parts.get_vocabulary()
    parts.adapt(iter([TEXTS[:1], TEXTS[1:]]), steps=1)
    assert "dog" not in parts.get_vocabulary()


def test_counts() -> None:
    options = {"vocabulary": ["the", "cat"], "dtype": "float64"}
    assert layers.TextVectorization(output_mode="count", **options)(TEXTS[:2]).tolist() == [[2, 2, 2], [2, 0, 0]]
    assert layers.TextVectorization(output_mode="multi_hot", **options)(TEXTS[:1]).tolist() == [[1, 1, 1]]
    padded = layers.TextVectorization(5, output_mode="count", pad_to_max_tokens=True, **options)
    assert padded(TEXTS).shape == (3, 5)


def test_tf_idf() -> None:
    layer = layers.TextVectorization(output_mode="tf_idf", dtype="float64")
    layer.adapt(TEXTS)
    weights = dict(zip(layer.get_vocabulary(), layer(["the the sat"]).numpy()[0], strict=True))
    assert weights["the"] == pytest.approx(2 * math.log(1 + 3 / (1 + 2)))
    assert weights["sat"] == pytest.approx(math.log(1 + 3 / (1 + 2)))
    assert weights["cat"] == 0


def test_standards_splits_and_ngrams() -> None:
    def words(**options: Any) -> list[str]:
        layer = layers.TextVectorization(**options)
        layer.adapt(["A b, B"])
        return sorted(layer.get_vocabulary(include_special_tokens=False))

    assert words() == ["a", "b"]
    assert words(standardize="lower") == ["a", "b", "b,"]
    assert words(standardize="strip_punctuation") == ["A", "B", "b"]
    assert words(standardize=None) == ["A", "B", "b,"]
    assert words(standardize=lambda text: text.upper(), split=lambda text: text.split(",")) == [" B", "A B"]
    assert words(split="character") == [" ", "a", "b"]
    assert words(split=None) == ["a b b"]
    assert words(ngrams=2) == ["a", "a b", "b", "b b"]
    assert words(ngrams=(2,)) == ["a b", "b b"]


@pytest.mark.parametrize("mode", ["int", "count", "tf_idf"])
def test_configuration_makes_it_anew(mode: str) -> None:
    layer = layers.TextVectorization(10, ngrams=2, output_mode=mode)
    layer.adapt(TEXTS)
    twin = layers.TextVectorization.from_config(json.loads(json.dumps(layer.get_config())))
    assert twin.get_config() == layer.get_config()
    np.testing.assert_allclose(twin(TEXTS).numpy(), layer(TEXTS).numpy())


def test_before_an_embedding() -> None:
    layer = layers.TextVectorization(output_sequence_length=4)
    layer.adapt(TEXTS)
    model = rv.Sequential([layers.Embedding(layer.vocabulary_size(), 3, mask_zero=True), layers.GRU(2)])
    assert model(layer(TEXTS)).shape == (3, 2)


def test_arguments_and_defaults() -> None:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    pytest.importorskip("torch", reason="Keras needs a backend to compare with: pip install torch")
    keras = pytest.importorskip("keras", reason="comparison with Keras 3: pip install keras")
    ours, theirs = (inspect.signature(k.layers.TextVectorization.__init__).parameters for k in (rv, keras))
    assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]


MESSAGES = {
    "mode": (lambda: layers.TextVectorization(output_mode="cuont"), "Did you mean 'count'"),
    "standard": (lambda: layers.TextVectorization(standardize="lowr"), "Did you mean 'lower'"),
    "length": (
        lambda: layers.TextVectorization(output_mode="count", output_sequence_length=3),
        "needs output_mode='int'",
    ),
    "twice": (lambda: layers.TextVectorization(vocabulary=["a", "b", "a"]), "has 'a' twice"),
    "many": (lambda: layers.TextVectorization(3, vocabulary=["a", "b"]), "more than max_tokens=3"),
    "idf": (lambda: layers.TextVectorization(output_mode="tf_idf", vocabulary=["a"]), "one number for each word"),
    "first": (lambda: layers.TextVectorization()(["a"]), r"call adapt\(texts\) first"),
    "shape": (
        lambda: layers.TextVectorization(vocabulary=["a"])([["a", "b"]]),
        r"shape \(N,\) or \(N, 1\), got \(1, 2\)",
    ),
}


@pytest.mark.parametrize(("call", "message"), MESSAGES.values(), ids=MESSAGES)
def test_messages(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_refuses_numbers() -> None:
    with pytest.raises(TypeError, match="expected strings, got values of dtype int64"):
        layers.TextVectorization(vocabulary=["a"])([1, 2])
