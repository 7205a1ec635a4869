"""StringLookup and IntegerLookup: categories as numbers, and back."""

from __future__ import annotations

import itertools
import os
import zlib
from collections import Counter
from typing import Any

import numpy as np

from ranvier._names import unknown
from ranvier.layers.arguments import positive
from ranvier.layers.layer import Layer
from ranvier.layers.preprocessing import encode, encoded_shape
from ranvier.layers.symbolic import KerasTensor
from ranvier.tensor import Tensor, as_tensor

_MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
_SHARED = (
    "max_tokens", "num_oov_indices", "mask_token", "oov_token", "vocabulary", "idf_weights", "invert", "output_mode",
    "pad_to_max_tokens", "sparse",
)  # fmt: skip


class IndexLookup(Layer):
    """What the lookups share: the vocabulary, its special tokens, and the modes of the output.

    Numbers are given in this order: 0 to ``mask_token`` if there is one and the mode is ``"int"``, then
    ``num_oov_indices`` to tokens that are not in the vocabulary, then one to each that is.
    """

    computes_inputs = False  # 16 bits round large numbers

    def __init__(self, settings: dict[str, Any], **kwargs: Any) -> None:
        kwargs.pop("vocabulary_size", None)  # which Keras writes into configurations
        super().__init__(**kwargs)
        kind = type(self).__name__
        if settings["sparse"]:
            raise ValueError(f"{kind}: sparse=True is not supported: arrays are dense")
        mode = {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(settings["output_mode"], settings["output_mode"])
        if mode not in _MODES:
            raise ValueError(f"{kind}: {unknown('output_mode', str(mode), _MODES)}")
        if settings["invert"] and mode != "int":
            raise ValueError(f"{kind}: `output_mode` must be 'int' when `invert` is true, got {mode!r}")
        if settings["num_oov_indices"] < 0:
            raise ValueError(f"{kind}: num_oov_indices must not be negative, got {settings['num_oov_indices']}")
        if settings["pad_to_max_tokens"] and settings["max_tokens"] is None:
            raise ValueError(f"{kind}: pad_to_max_tokens needs max_tokens")
        most = settings["max_tokens"]
        self.max_tokens = None if most is None else positive(kind, "max_tokens", most)
        self.num_oov_indices: int = settings["num_oov_indices"]
        self.mask_token, self.oov_token = settings["mask_token"], settings["oov_token"]
        self.invert: bool = settings["invert"]
        self.output_mode: str = mode
        self.pad_to_max_tokens: bool = settings["pad_to_max_tokens"]
        self._tokens: list[Any] | None = None
        self._idf: np.ndarray | None = None
        self._numbers: dict[Any, int] = {}
        if settings["vocabulary"] is not None:
            self.set_vocabulary(settings["vocabulary"], settings["idf_weights"])
        self.built = True

    # --- what strings and integers differ in ----------------------------------------------------------------

    def _values(self, inputs: Any) -> np.ndarray:
        raise NotImplementedError

    def _bucket(self, token: Any) -> int:
        """Which of several numbers a token that is not in the vocabulary gets."""
        raise NotImplementedError

    # --- the vocabulary --------------------------------------------------------------------------------------

    def _special(self) -> list[Any]:
        mask = [self.mask_token] if self.mask_token is not None and self.output_mode == "int" else []
        return mask + [self.oov_token] * self.num_oov_indices

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Sets the tokens, with or without the special ones before them, from a list, an array, or a file of lines.

        ``"tf_idf"`` needs their weights. Raises ValueError for an empty vocabulary, tokens given twice, too many, and
        weights that do not fit.
        """
        where = f"{type(self).__name__} {self.name!r}"
        if isinstance(vocabulary, (str, os.PathLike)):
            with open(vocabulary, encoding="utf-8") as file:
                vocabulary = file.read().splitlines()
        tokens: list[Any] = self._values(vocabulary).tolist() if len(vocabulary) else []
        special = self._special()
        given_special = bool(special) and tokens[: len(special)] == special
        tokens = tokens[len(special) :] if given_special else tokens
        if not tokens:
            raise ValueError(f"{where}: the vocabulary is empty")
        repeated = [token for token, count in Counter(tokens).items() if count > 1]
        if repeated:
            raise ValueError(f"{where}: the vocabulary has {repeated[0]!r} more than once")
        for reserved in [self.mask_token, *([self.oov_token] if self.invert else [])]:
            if reserved is not None and reserved in tokens:
                raise ValueError(
                    f"{where}: {reserved!r} is reserved; leave special tokens out of the vocabulary, or begin it with "
                    f"{special}"
                )
        if self.max_tokens is not None and len(special) + len(tokens) > self.max_tokens:
            raise ValueError(
                f"{where}: {len(tokens)} tokens and {len(special)} special ones are more than "
                f"max_tokens={self.max_tokens}"
            )
        if (self.output_mode == "tf_idf") != (idf_weights is not None):
            raise ValueError(f"{where}: idf_weights must be given for output_mode='tf_idf', and for no other")
        if idf_weights is not None:
            idf = np.asarray(idf_weights, np.float64)
            if idf.shape != (len(tokens) + (len(special) if given_special else 0),):
                raise ValueError(f"{where}: idf_weights must hold one number for each token, got shape {idf.shape}")
            self._idf = idf if given_special else np.concatenate([np.full(len(special), idf.mean()), idf])
        self._learn(tokens)

    def _learn(self, tokens: list[Any]) -> None:
        self._tokens = tokens
        self._numbers = {token: i + len(self._special()) for i, token in enumerate(tokens)}
        if self.mask_token is not None:
            self._numbers[self.mask_token] = 0

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Takes the most frequent tokens of an array, or of batches, as vocabulary; of equally frequent ones the
        greatest first, as Keras does. Rows are the documents of ``"tf_idf"``."""
        batches = [data] if isinstance(data, (list, tuple, np.ndarray, Tensor)) else data
        counts: Counter[Any] = Counter()
        rows_with: Counter[Any] = Counter()
        rows = 0
        for batch in itertools.islice(batches, steps):
            values = self._values(batch)
            for row in values.reshape(len(values), -1).tolist() if values.ndim else [[values.item()]]:
                counts.update(row)
                rows_with.update(set(row))
                rows += 1
        for token in (self.mask_token, self.oov_token):
            counts.pop(token, None)
        tokens = sorted(counts, key=lambda token: (counts[token], token), reverse=True)
        if self.max_tokens is not None:
            tokens = tokens[: max(0, self.max_tokens - len(self._special()))]
        if not tokens:
            raise ValueError(f"{type(self).__name__} {self.name!r}: adapt() found no tokens")
        if self.output_mode == "tf_idf":
            idf = np.log(1 + rows / (1 + np.array([rows_with[token] for token in tokens], np.float64)))
            self._idf = np.concatenate([np.full(len(self._special()), idf.mean()), idf])
        self._learn(tokens)

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens in the order of their numbers."""
        return (self._special() if include_special_tokens else []) + (self._tokens or [])

    def vocabulary_size(self) -> int:
        """How many numbers there are, those of special tokens included."""
        return len(self.get_vocabulary())

    # --- numbers ---------------------------------------------------------------------------------------------

    def _lookup(self, token: Any) -> int:
        number = self._numbers.get(token)
        if number is not None:
            return number
        if self.num_oov_indices == 0:
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: {token!r} is not in the vocabulary, and num_oov_indices=0"
            )
        first = len(self._special()) - self.num_oov_indices
        return first + (self._bucket(token) if self.num_oov_indices > 1 else 0)

    def call(self, inputs: Any) -> Any:
        if self._tokens is None:
            raise ValueError(f"{type(self).__name__} {self.name!r}: call adapt(data) first, or give a vocabulary")
        if self.invert:
            return self._tokens_of(inputs)
        values = self._values(inputs)
        numbers = np.array([self._lookup(token) for token in values.ravel().tolist()], np.int64).reshape(values.shape)
        if self.output_mode == "int":
            return as_tensor(numbers)
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        encoded = encode(as_tensor(numbers), mode, self._depth(), self.compute_dtype)
        if self.output_mode != "tf_idf" or self._idf is None:
            return encoded
        idf = np.zeros(self._depth())
        idf[: len(self._idf)] = self._idf
        return encoded * as_tensor(idf, self.compute_dtype)

    def _depth(self) -> int:
        return self.max_tokens if self.pad_to_max_tokens and self.max_tokens else self.vocabulary_size()

    def _tokens_of(self, inputs: Any) -> Any:
        numbers = np.asarray(inputs.numpy() if isinstance(inputs, Tensor) else inputs)
        vocabulary = self.get_vocabulary()
        found = [vocabulary[n] if 0 <= n < len(vocabulary) else self.oov_token for n in numbers.ravel().tolist()]
        return np.array(found).reshape(numbers.shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        return encoded_shape(input_shape, mode, self._depth())

    def compute_output_spec(self, inputs: Any) -> Any:
        dtype = "int64" if self.output_mode == "int" else self.compute_dtype
        return KerasTensor(self.compute_output_shape(inputs.shape), dtype)

    def get_config(self) -> dict[str, Any]:
        names = [name for name in _SHARED if name not in ("vocabulary", "idf_weights", "sparse")]
        idf = None if self._idf is None else self._idf[len(self._special()) :].tolist()
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **own, "vocabulary": self._tokens, "idf_weights": idf}


class StringLookup(IndexLookup):
    """Strings, of any shape, as numbers of a vocabulary; with ``invert`` numbers as strings, a NumPy array.

    The vocabulary is given or learnt by ``adapt``. ``output_mode``: ``"int"`` (int64, the inputs' shape), or floats
    with a column for each number: ``"one_hot"``, ``"multi_hot"``, ``"count"``, ``"tf_idf"``. Strings not in it get
    ``num_oov_indices`` numbers, by CRC-32 where there are several (Keras: FarmHash). It is called on strings, before a
    model. Raises ValueError for options and vocabularies that do not fit, and for a string without a number. Source:
    Keras ``StringLookup``.

    >>> import ranvier as rv
    >>> layer = rv.layers.StringLookup(vocabulary=["a", "b"])
    >>> layer([["a", "c"], ["b", "a"]]).tolist()
    [[1, 0], [2, 1]]
    >>> rv.layers.StringLookup(vocabulary=["a", "b"], invert=True)([2, 0]).tolist()
    ['b', '[UNK]']
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        given = locals()
        self.encoding = encoding
        super().__init__({option: given[option] for option in _SHARED}, name=name, **kwargs)

    def _values(self, inputs: Any) -> np.ndarray:
        values = np.asarray(inputs)
        if values.dtype.kind not in "USO":
            raise TypeError(f"StringLookup {self.name!r}: expected strings, got values of dtype {values.dtype}")
        texts = [t.decode(self.encoding) if isinstance(t, bytes) else str(t) for t in values.ravel().tolist()]
        return np.array(texts, object).reshape(values.shape)

    def _bucket(self, token: Any) -> int:
        return zlib.crc32(token.encode("utf-8")) % self.num_oov_indices

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Strings are no tensors: nothing is converted."""
        return self.call(inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "encoding": self.encoding}


class IntegerLookup(IndexLookup):
    """Integers, of any shape, as numbers of a vocabulary; with ``invert`` the other way.

    As ``StringLookup``, but that it may stand in a model, and that of several ``num_oov_indices`` an integer gets the
    one of its remainder. Raises TypeError for what is no integer. Source: Keras ``IntegerLookup``.

    >>> import ranvier as rv
    >>> layer = rv.layers.IntegerLookup(output_mode="count")
    >>> layer.adapt([7, 9, 7])
    >>> layer.get_vocabulary(), layer([[7, 7, 5], [9, 7, 9]]).tolist()
    ([-1, 7, 9], [[1.0, 2.0, 0.0], [0.0, 1.0, 2.0]])
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        given = locals()
        if vocabulary_dtype not in ("int32", "int64"):
            raise ValueError(f"IntegerLookup: vocabulary_dtype must be 'int64' or 'int32', got {vocabulary_dtype!r}")
        self.vocabulary_dtype = vocabulary_dtype
        super().__init__({option: given[option] for option in _SHARED}, name=name, **kwargs)

    def _values(self, inputs: Any) -> np.ndarray:
        values = np.asarray(inputs.numpy() if isinstance(inputs, Tensor) else inputs)
        if values.dtype.kind in "US":  # lines of a file
            values = values.astype(np.int64)
        if values.dtype.kind not in "iu":
            raise TypeError(f"IntegerLookup {self.name!r}: expected integers, got values of dtype {values.dtype}")
        return values.astype(np.int64)

    def _bucket(self, token: Any) -> int:
        return int(token) % self.num_oov_indices

    def _tokens_of(self, inputs: Any) -> Any:
        return as_tensor(np.asarray(super()._tokens_of(inputs), np.int64))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "vocabulary_dtype": self.vocabulary_dtype}
