"""Text as numbers, as Keras 2 did it: words, hashes, and a Tokenizer that counts them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ranvier._names import unknown

__all__ = ["Tokenizer", "hashing_trick", "one_hot", "text_to_word_sequence", "tokenizer_from_json"]

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
MODES = ("binary", "count", "freq", "tfidf")
Analyzer = Callable[[str], Sequence[str]]
_COUNTS = ("word_counts", "word_docs", "index_docs", "index_word", "word_index")


def text_to_word_sequence(input_text: str, filters: str = FILTERS, lower: bool = True, split: str = " ") -> list[str]:
    """The words of a text: what lies between ``split`` and the characters of ``filters``.

    Source: Keras 2 ``preprocessing.text``.

    >>> import ranvier as rv
    >>> rv.preprocessing.text.text_to_word_sequence("The cat, the mat!")
    ['the', 'cat', 'the', 'mat']
    """
    if not isinstance(input_text, str):
        raise TypeError(f"text_to_word_sequence: expected a string, got {type(input_text).__name__}")
    text = input_text.lower() if lower else input_text
    table = str.maketrans({character: split for character in filters})
    return [word for word in text.translate(table).split(split) if word]


def one_hot(
    input_text: str,
    n: int,
    filters: str = FILTERS,
    lower: bool = True,
    split: str = " ",
    analyzer: Analyzer | None = None,
) -> list[int]:
    """Each word as a number from 1 to n - 1 by Python's ``hash``: the same within a process, another in the next.

    Different words may share a number. ``hashing_trick(..., hash_function="md5")`` repeats itself. Source: Keras 2.

    >>> import ranvier as rv
    >>> first, second, third = rv.preprocessing.text.one_hot("one two one", 50)
    >>> first == third, 1 <= second < 50
    (True, True)
    """
    return hashing_trick(input_text, n, hash, filters, lower, split, analyzer)


def hashing_trick(
    text: str,
    n: int,
    hash_function: Callable[[str], int] | str | None = None,
    filters: str = FILTERS,
    lower: bool = True,
    split: str = " ",
    analyzer: Analyzer | None = None,
) -> list[int]:
    """Each word as a number from 1 to n - 1: its hash modulo n - 1, plus 1 (0 stays for padding).

    ``hash_function``: ``"md5"``, a function of a word, or None for Python's ``hash``, which differs between processes.
    ``analyzer`` splits a text in place of ``text_to_word_sequence``. Raises ValueError where ``n`` is less than 2.
    Source: Keras 2.

    >>> import ranvier as rv
    >>> rv.preprocessing.text.hashing_trick("The cat sat", 100, "md5")
    [51, 3, 10]
    """
    if n < 2:
        raise ValueError(f"hashing_trick: n must be 2 or more, as numbers go from 1 to n - 1; got {n}")
    if isinstance(hash_function, str) and hash_function != "md5":
        raise ValueError(unknown("hash_function", hash_function, ["md5"]))
    if hash_function == "md5":
        hashed: Any = _md5
    else:
        hashed = hash if hash_function is None else hash_function
    words = text_to_word_sequence(text, filters, lower, split) if analyzer is None else analyzer(text)
    return [hashed(word) % (n - 1) + 1 for word in words]


def _md5(word: str) -> int:
    return int(hashlib.md5(word.encode(), usedforsecurity=False).hexdigest(), 16)


class Tokenizer:
    """Numbers words by how often they come in the texts it was fitted on: 1 for the most frequent, 0 for none.

    ``num_words``: only numbers below it are given out. Words that were not seen, or are too rare, are left out, or get
    the number of ``oov_token``, which is then 1. A text is a string, split at ``split`` and ``filters`` (or by
    ``analyzer``), or a list of words; ``char_level`` takes characters for words. Ties keep the order of first
    appearance. Source: Keras 2 ``preprocessing.text.Tokenizer``.

    >>> import ranvier as rv
    >>> tokenizer = rv.preprocessing.text.Tokenizer(oov_token="?")
    >>> tokenizer.fit_on_texts(["the cat sat", "the mat"])
    >>> tokenizer.word_index
    {'?': 1, 'the': 2, 'cat': 3, 'sat': 4, 'mat': 5}
    >>> tokenizer.texts_to_sequences(["The dog sat."])
    [[2, 1, 4]]
    >>> tokenizer.texts_to_matrix(["the cat"], mode="count")
    array([[0., 0., 1., 1., 0., 0.]])
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        analyzer: Analyzer | None = None,
        **kwargs: Any,
    ) -> None:
        self.document_count = int(kwargs.pop("document_count", 0))
        for name in kwargs:
            raise TypeError(f"Tokenizer: unknown argument {name!r}")
        self.num_words = num_words
        self.filters = filters
        self.lower = lower
        self.split = split
        self.char_level = char_level
        self.oov_token = oov_token
        self.analyzer = analyzer
        self.word_counts: dict[str, int] = OrderedDict()
        self.word_docs: dict[str, int] = defaultdict(int)
        self.index_docs: dict[int, int] = defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def _words(self, text: Any) -> Any:
        if self.char_level or isinstance(text, list):
            if not self.lower:
                return text
            return [word.lower() for word in text] if isinstance(text, list) else text.lower()
        if self.analyzer is not None:
            return self.analyzer(text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Counts the words of texts (added to those counted before) and numbers them anew."""
        if isinstance(texts, str):
            raise TypeError("Tokenizer.fit_on_texts: expected a list of texts, got one string; put it into a list")
        for text in texts:
            self.document_count += 1
            words = self._words(text)
            for word, count in Counter(words).items():
                self.word_counts[word] = self.word_counts.get(word, 0) + count
                self.word_docs[word] += 1
        ranked = sorted(self.word_counts, key=lambda word: -self.word_counts[word])
        every = ranked if self.oov_token is None else [self.oov_token, *ranked]
        self.word_index = {word: place for place, word in enumerate(every, 1)}
        self.index_word = {place: word for word, place in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Sequence[Sequence[int]]) -> None:
        """Counts in how many sequences each number comes: what mode "tfidf" needs without ``fit_on_texts``."""
        self.document_count += len(sequences)
        for sequence in sequences:
            for place in set(sequence):
                self.index_docs[place] += 1

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """The numbers of each text's words, a list for each text."""
        return list(self.texts_to_sequences_generator(texts))

    def texts_to_sequences_generator(self, texts: Iterable[Any]) -> Iterator[list[int]]:
        """As ``texts_to_sequences``, one at a time."""
        if isinstance(texts, str):
            raise TypeError("Tokenizer.texts_to_sequences: expected a list of texts, got one string")
        for text in texts:
            yield [place for word in self._words(text) if (place := self._number(word)) is not None]

    def _out_of_vocabulary(self) -> int | None:
        return None if self.oov_token is None else self.word_index.get(self.oov_token)

    def _is_kept(self, place: int) -> bool:
        return not self.num_words or place < self.num_words

    def _number(self, word: str) -> int | None:
        place = self.word_index.get(word)
        return place if place is not None and self._is_kept(place) else self._out_of_vocabulary()

    def sequences_to_texts(self, sequences: Iterable[Sequence[int]]) -> list[str]:
        """The words of numbers, joined by spaces: ``texts_to_sequences`` backwards, as far as that goes."""
        return list(self.sequences_to_texts_generator(sequences))

    def sequences_to_texts_generator(self, sequences: Iterable[Sequence[int]]) -> Iterator[str]:
        """As ``sequences_to_texts``, one at a time."""
        for sequence in sequences:
            words = [self.index_word[place] if self._knows(place) else self._stand_in() for place in sequence]
            yield " ".join(word for word in words if word is not None)

    def _knows(self, place: int) -> bool:
        return place in self.index_word and self._is_kept(place)

    def _stand_in(self) -> str | None:
        return None if self._out_of_vocabulary() is None else self.oov_token

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> np.ndarray:
        """``sequences_to_matrix`` of the texts' numbers."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(self, sequences: Sequence[Sequence[int]], mode: str = "binary") -> np.ndarray:
        """A float64 matrix (sequences, ``num_words`` or the number of words + 1), a row for each sequence.

        ``mode``: ``"binary"`` (1 for each number there), ``"count"``, ``"freq"`` (count / length), ``"tfidf"``:
        (1 + log count) log(1 + documents / (1 + those with the word)). Numbers that are too high are left out. Raises
        ValueError for another mode, and where nothing was fitted.
        """
        if mode not in MODES:
            raise ValueError(unknown("mode", mode, MODES))
        width = self.num_words or (len(self.word_index) + 1 if self.word_index else 0)
        if not width:
            raise ValueError("Tokenizer.sequences_to_matrix: set num_words, or fit on some texts first")
        if mode == "tfidf" and not self.document_count:
            raise ValueError("Tokenizer.sequences_to_matrix: mode 'tfidf' needs fit_on_texts or fit_on_sequences first")
        x = np.zeros((len(sequences), width))
        for row, sequence in zip(x, sequences, strict=True):
            for place, count in Counter(j for j in sequence if j < width).items():
                row[place] = self._weight(place, count, len(sequence), mode)
        return x

    def _weight(self, place: int, count: int, length: int, mode: str) -> float:
        if mode == "binary":
            return 1
        if mode == "count":
            return count
        if mode == "freq":
            return count / length
        documents = self.index_docs.get(place, 0)
        return float((1 + np.log(count)) * np.log(1 + self.document_count / (1 + documents)))

    def get_config(self) -> dict[str, Any]:
        """What it was told and what it counted (as JSON texts), without ``analyzer``."""
        own = ("num_words", "filters", "lower", "split", "char_level", "oov_token", "document_count")
        return {name: getattr(self, name) for name in own} | {n: json.dumps(getattr(self, n)) for n in _COUNTS}

    def to_json(self, **kwargs: Any) -> str:
        """Its configuration as JSON for ``tokenizer_from_json``, or Keras's. ``kwargs``: those of ``json.dumps``."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """The tokenizer that ``to_json`` wrote, here or in Keras. Raises ValueError for what is none.

    >>> import ranvier as rv
    >>> text = rv.preprocessing.text
    >>> tokenizer = text.Tokenizer()
    >>> tokenizer.fit_on_texts(["a b a"])
    >>> text.tokenizer_from_json(tokenizer.to_json()).word_index
    {'a': 1, 'b': 2}
    """
    try:
        config = dict(json.loads(json_string)["config"])
        counts = {name: dict(json.loads(config.pop(name))) for name in _COUNTS}
        for name in ("index_docs", "index_word"):  # JSON's keys are texts
            counts[name] = {int(place): value for place, value in counts[name].items()}
        tokenizer = Tokenizer(**config)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"tokenizer_from_json: not a tokenizer's JSON ({type(error).__name__}: {error})") from None
    for name, value in counts.items():
        setattr(tokenizer, name, value)
    return tokenizer
