"""Keras 2's text and sequence helpers against those that Keras 3 keeps."""

from __future__ import annotations

import importlib
import json
import random
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier.preprocessing import sequence, text
from tests.peers import keras_or_skip

TEXTS = ["The cat sat on the mat.", "The dog sat\ton the log!", "cats & dogs: sat, SAT", "", "mat-log mat"]


def keras_module(name: str) -> Any:
    keras_or_skip()
    return importlib.import_module(f"keras.src.legacy.preprocessing.{name}")


@pytest.mark.parametrize("options", [{}, {"lower": False}, {"filters": "aeiou"}, {"split": "t"}], ids=str)
def test_words(options: Any) -> None:
    keras = keras_module("text")
    for each in TEXTS:
        assert text.text_to_word_sequence(each, **options) == keras.text_to_word_sequence(each, **options)
        assert text.one_hot(each, 20, **options) == keras.one_hot(each, 20, **options)
        for hashed in (None, "md5", len):
            ours = text.hashing_trick(each, 20, hashed, **options)
            assert ours == keras.hashing_trick(each, 20, hashed, **options)
    assert text.hashing_trick("a b", 5, analyzer=lambda t: [t]) == keras.hashing_trick("a b", 5, analyzer=lambda t: [t])


OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_words": 4},
    {"oov_token": "<oov>"},
    {"oov_token": "<oov>", "num_words": 4},
    {"oov_token": "sat"},
    {"char_level": True, "num_words": 9},
    {"lower": False, "filters": ""},
    {"analyzer": lambda t: t.split("a")},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: " ".join(o) or "plain")
def test_tokenizer(options: Any) -> None:
    keras = keras_module("text")
    ours, theirs = text.Tokenizer(**options), keras.Tokenizer(**options)
    for each in (ours, theirs):
        each.fit_on_texts(TEXTS[:2])
        each.fit_on_texts([*TEXTS[2:], ["The", "list"]])
    same = ("word_index", "index_word", "word_counts", "word_docs", "index_docs", "document_count")
    for name in same:
        assert dict(vars(ours))[name] == vars(theirs)[name], name
    assert list(ours.word_index) == list(theirs.word_index)
    new = ["the unseen cat sat", "", ["Mat", "what"], "log log"]
    sequences = ours.texts_to_sequences(new)
    assert sequences == theirs.texts_to_sequences(new)
    assert ours.sequences_to_texts([*sequences, [99, 1]]) == theirs.sequences_to_texts([*sequences, [99, 1]])
    for mode in text.MODES:
        np.testing.assert_array_equal(
            ours.sequences_to_matrix(sequences, mode), theirs.sequences_to_matrix(sequences, mode)
        )
        np.testing.assert_array_equal(ours.texts_to_matrix(TEXTS, mode), theirs.texts_to_matrix(TEXTS, mode))
    again = text.tokenizer_from_json(theirs.to_json())  # each reads the other's file
    back = keras.tokenizer_from_json(ours.to_json())
    for name in same:
        assert vars(again)[name] == vars(theirs)[name] == vars(back)[name], name
    assert json.loads(ours.to_json()).keys() == json.loads(theirs.to_json()).keys()
    assert ours.get_config().keys() == theirs.get_config().keys()


def test_fit_on_sequences() -> None:
    keras = keras_module("text")
    ours, theirs = text.Tokenizer(num_words=6), keras.Tokenizer(num_words=6)
    for each in (ours, theirs):
        each.fit_on_sequences([[1, 2, 2], [5, 9], []])
    np.testing.assert_array_equal(
        ours.sequences_to_matrix([[1, 1, 5, 9]], "tfidf"), theirs.sequences_to_matrix([[1, 1, 5, 9]], "tfidf")
    )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: text.Tokenizer().sequences_to_matrix([[1]]), "set num_words, or fit"),
        (lambda: text.Tokenizer(5).sequences_to_matrix([[1]], "tfidf"), "needs fit_on_texts"),
        (lambda: text.Tokenizer(5).sequences_to_matrix([[1]], "counts"), "Did you mean 'count'"),
        (lambda: text.Tokenizer().fit_on_texts("one"), "put it into a list"),
        (lambda: text.Tokenizer().texts_to_sequences("one"), "got one string"),
        (lambda: text.Tokenizer(words=3), "unknown argument 'words'"),
        (lambda: text.text_to_word_sequence(3), "expected a string, got int"),
        (lambda: text.hashing_trick("a", 1), "n must be 2 or more"),
        (lambda: text.hashing_trick("a", 9, "md6"), "Did you mean 'md5'"),
        (lambda: text.tokenizer_from_json("[]"), "not a tokenizer's JSON"),
        (lambda: text.tokenizer_from_json('{"config": {"word_counts": "3"}}'), "not a tokenizer's JSON"),
        (lambda: sequence.TimeseriesGenerator([1, 2], [1], 1), "same length but have 2 and 1"),
        (lambda: sequence.TimeseriesGenerator([1, 2], [1, 2], 2), "no window of 2 steps fits"),
        (lambda: sequence.TimeseriesGenerator([1, 2], [1, 2], 0), "length must be 1 or more"),
        (lambda: sequence.TimeseriesGenerator([1, 2], [1, 2], 1, batch_size=0), "batch_size must be 1 or more"),
        (lambda: sequence.TimeseriesGenerator([1, 2], [1, 2], 1)[1], "batch 1 of 1"),
    ],
)
def test_messages(call: Any, words: str) -> None:
    with pytest.raises((ValueError, TypeError, IndexError)) as caught:
        call()
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sampling_rate": 2},
        {"stride": 3, "batch_size": 2},
        {"start_index": 4, "end_index": 12, "reverse": True},
        {"shuffle": True},
    ],
    ids=str,
)
def test_timeseries_generator(options: Any) -> None:
    keras = keras_module("sequence")
    data, targets = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20)
    options = {"length": 5, "batch_size": 4} | options
    ours, theirs = (m.TimeseriesGenerator(data, targets, **options) for m in (sequence, keras))
    assert len(ours) == len(theirs)
    for i in range(len(ours)):
        batches = []
        for each in (ours, theirs):
            np.random.seed(i)
            batches.append(each[i])
        for x, y in zip(*batches, strict=True):
            np.testing.assert_array_equal(x, y)
    assert json.loads(ours.to_json())["config"]["start_index"] == options.get("start_index", 0) + 5
    model = rv.models.Sequential([rv.layers.Flatten(), rv.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(ours, epochs=1, verbose=0)


@pytest.mark.filterwarnings("ignore:non-integer arguments")  # Keras's
def test_sampling_table_and_skipgrams() -> None:
    keras = keras_module("sequence")
    table = sequence.make_sampling_table(50, 1e-3)
    np.testing.assert_allclose(table, keras.make_sampling_table(50, 1e-3), rtol=1e-14)
    words = [3, 0, 7, 1, 2, 2, 9, 4]
    for options in (
        {},
        {"negative_samples": 0},
        {"sampling_table": table},
        {"categorical": True, "window_size": 2},
        {"seed": 3},
    ):
        found = []
        for module in (sequence, keras):
            random.seed(5)
            found.append(module.skipgrams(words, 10, **options))
        assert found[0] == found[1], options
    assert sequence.skipgrams([], 10) == ([], [])
