"""TextVectorization: texts as numbers of words."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from ranvier._names import unknown
from ranvier.layers.arguments import positive
from ranvier.layers.layer import Layer
from ranvier.tensor import Tensor

_PUNCTUATION = re.compile(r"[!\"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']")
_MODES = ("int", "multi_hot", "count", "tf_idf")


class TextVectorization(Layer):
    """Texts, strings (N,) or (N, 1), as numbers of their words: (N, length) of int64, or (N, words) of floats.

    The vocabulary is given, or ``adapt`` finds the ``max_tokens`` most frequent words. Words: ``standardize``
    (``"lower_and_strip_punctuation"``, ``"lower"``, ``"strip_punctuation"``, a function of a string, or None), then
    ``split`` (``"whitespace"``, ``"character"``, a function, or None), then n-grams of up to ``ngrams`` words.
    ``output_mode="int"``: 0 fills up to the longest text or ``output_sequence_length``, 1 is an unknown word. Others
    give a column for each word, column 0 for the unknown: ``"multi_hot"`` (there or not), ``"count"``, ``"tf_idf"``
    (counts by the logarithm of how rare a word is). It is called on strings, before a model. Raises ValueError for
    unknown options and without a vocabulary. Source: Keras ``TextVectorization``.

    >>> import ranvier as rv
    >>> layer = rv.layers.TextVectorization()
    >>> layer.adapt(["the cat sat", "The cat ran!"])
    >>> layer.get_vocabulary()
    ['', '[UNK]', 'the', 'cat', 'sat', 'ran']
    >>> layer(["the dog sat", "cat"]).tolist()
    [[2, 1, 4], [3, 0, 0]]
    """

    computes_inputs = False  # 16 bits round large numbers

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: str | Callable[[str], str] | None = "lower_and_strip_punctuation",
        split: str | Callable[[str], list[str]] | None = "whitespace",
        ngrams: Any = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("vocabulary_size", None)  # which Keras writes into configurations
        super().__init__(name=name, **kwargs)
        if sparse or ragged:
            raise ValueError("TextVectorization: sparse and ragged are not supported: arrays are dense")
        output_mode = {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(output_mode, output_mode)
        choices: dict[str, tuple[Any, tuple[str, ...]]] = {
            "standardize": (standardize, ("lower_and_strip_punctuation", "lower", "strip_punctuation")),
            "split": (split, ("whitespace", "character")),
            "output_mode": (output_mode, _MODES),
        }
        for option, (value, known) in choices.items():
            if isinstance(value, str) and value not in known:
                raise ValueError(f"TextVectorization: {unknown(option, value, known)}")
        if output_mode != "int" and output_sequence_length is not None:
            raise ValueError("TextVectorization: output_sequence_length needs output_mode='int'")
        self.max_tokens = None if max_tokens is None else positive("TextVectorization", "max_tokens", max_tokens)
        self.standardize = standardize
        self.split = split
        self.ngrams = ngrams if ngrams is None or isinstance(ngrams, int) else tuple(ngrams)
        self.output_mode = output_mode
        self.output_sequence_length = output_sequence_length
        self.pad_to_max_tokens = pad_to_max_tokens
        self.encoding = encoding
        self._words: list[str] | None = None
        self._idf: np.ndarray | None = None
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)
        self.built = True

    # --- words ---------------------------------------------------------------------------------------

    def _texts(self, inputs: Any) -> list[str]:
        values = np.asarray(inputs)
        if values.dtype.kind not in "USO":
            raise TypeError(f"TextVectorization {self.name!r}: expected strings, got values of dtype {values.dtype}")
        if values.ndim > 1 and (values.ndim > 2 or values.shape[1] != 1):
            raise ValueError(
                f"TextVectorization {self.name!r}: texts must be of shape (N,) or (N, 1), got {values.shape}"
            )
        return [t.decode(self.encoding) if isinstance(t, bytes) else str(t) for t in values.ravel().tolist()]

    def _tokens(self, text: str) -> list[str]:
        if callable(self.standardize):
            text = self.standardize(text)
        elif self.standardize is not None:
            text = text.lower() if "lower" in self.standardize else text
            text = _PUNCTUATION.sub("", text) if "strip" in self.standardize else text
        if callable(self.split):
            words = list(self.split(text))
        else:
            words = [text] if self.split is None else text.split() if self.split == "whitespace" else list(text)
        if self.ngrams is None:
            return words
        widths = range(1, self.ngrams + 1) if isinstance(self.ngrams, int) else self.ngrams
        return [" ".join(words[i : i + n]) for n in widths for i in range(len(words) - n + 1)]

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Takes the most frequent words of the texts, or batches of texts, as vocabulary; of equally frequent ones,
        those that come last in the alphabet, as Keras does."""
        batches = [data] if isinstance(data, (list, tuple, np.ndarray)) else data
        counts: Counter[str] = Counter()
        texts_with: Counter[str] = Counter()
        texts = 0
        for batch in itertools.islice(batches, steps):
            for text in self._texts(batch):
                words = self._tokens(text)
                counts.update(words)
                texts_with.update(set(words))
                texts += 1
        counts.pop("", None)
        ordered = sorted(counts, key=lambda word: (counts[word], word), reverse=True)
        if self.max_tokens is not None:
            ordered = ordered[: max(0, self.max_tokens - self._special())]
        self._words = ordered
        if self.output_mode != "tf_idf":
            return
        idf = [math.log(1 + texts / (1 + texts_with[word])) for word in ordered]
        self._idf = np.array([np.mean(idf) if idf else 0.0, *idf])

    def _special(self) -> int:
        """How many numbers are no word's: padding and unknown, or unknown alone."""
        return 2 if self.output_mode == "int" else 1

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Sets the words, most frequent first, with or without ``""`` and ``"[UNK]"``; ``"tf_idf"`` needs their
        weights. Raises ValueError for words given twice and too many."""
        words = [str(w) for w in vocabulary]
        special = [w for w in words[:2] if w in ("", "[UNK]")]
        words = words[len(special) :]
        if len(set(words)) < len(words):
            double = next(word for word, count in Counter(words).items() if count > 1)
            raise ValueError(f"TextVectorization {self.name!r}: vocabulary has {double!r} twice")
        if self.max_tokens is not None and len(words) + self._special() > self.max_tokens:
            raise ValueError(
                f"TextVectorization {self.name!r}: {len(words)} words and {self._special()} special tokens are more "
                f"than max_tokens={self.max_tokens}"
            )
        if self.output_mode == "tf_idf":
            weights = None if idf_weights is None else np.asarray(idf_weights, np.float64)
            if weights is not None and len(weights) == len(words) + 1:
                weights = weights[1:]
            if weights is None or len(weights) != len(words):
                raise ValueError(f"TextVectorization {self.name!r}: idf_weights must hold one number for each word")
            self._idf = np.concatenate([[weights.mean() if len(weights) else 0.0], weights])
        self._words = words

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """The words in the order of their numbers."""
        special = ["", "[UNK]"][2 - self._special() :] if include_special_tokens else []
        return special + (self._words or [])

    def vocabulary_size(self) -> int:
        """How many numbers there are, those that are no word's included."""
        return len(self.get_vocabulary())

    # --- numbers -------------------------------------------------------------------------------------

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Strings are no tensors: nothing is converted."""
        return self.call(inputs)

    def call(self, inputs: Any) -> Any:
        if self._words is None:
            raise ValueError(f"TextVectorization {self.name!r}: call adapt(texts) first, or give a vocabulary")
        first = self._special()
        numbers = {word: i + first for i, word in enumerate(self._words)}
        rows = [[numbers.get(w, first - 1) for w in self._tokens(text)] for text in self._texts(inputs)]
        if self.output_mode == "int":
            length = self.output_sequence_length
            length = max(map(len, rows), default=0) if length is None else length
            padded = np.zeros((len(rows), length), np.int64)
            for i, row in enumerate(rows):
                padded[i, : min(len(row), length)] = row[:length]
            return Tensor(padded)
        width = self.max_tokens if self.pad_to_max_tokens and self.max_tokens else self.vocabulary_size()
        counts = np.zeros((len(rows), width))
        for i, row in enumerate(rows):
            np.add.at(counts[i], row, 1)
        if self.output_mode == "multi_hot":
            counts = (counts > 0).astype(float)
        elif self.output_mode == "tf_idf" and self._idf is not None:
            counts[:, : len(self._idf)] *= self._idf
        return Tensor(counts, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        from ranvier.saving.registry import serialize_object

        return {
            **super().get_config(),
            "max_tokens": self.max_tokens,
            "standardize": serialize_object(self.standardize),
            "split": serialize_object(self.split),
            "ngrams": list(self.ngrams) if isinstance(self.ngrams, tuple) else self.ngrams,
            "output_mode": self.output_mode,
            "output_sequence_length": self.output_sequence_length,
            "pad_to_max_tokens": self.pad_to_max_tokens,
            "vocabulary": self._words,
            "idf_weights": None if self._idf is None or self._words is None else self._idf[1:].tolist(),
            "encoding": self.encoding,
        }
