"""Every loader with a file of its layout: from a server, from the cache, damaged, wrong, out of reach."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier.datasets._idx import IdxDataset, IdxFile
from tests.datasets.server import serving, with_sums_of

RNG = np.random.default_rng(2)


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def lists(count: int) -> np.ndarray:
    array = np.empty(count, dtype=object)
    array[:] = [RNG.integers(1, 90_000 if i % 7 == 0 else 30, RNG.integers(1, 12)).tolist() for i in range(count)]
    return array


def archive(folder: str, batches: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, batch in batches.items():
            data = pickle.dumps(batch, protocol=2)
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def batch(rows: int, *labels: str) -> dict[bytes, Any]:
    """As Python 2 wrote them: keys that are bytes."""
    pictures = {b"data": RNG.integers(0, 256, (rows, 3072)).astype("uint8"), b"filenames": [b"a.png"] * rows}
    return pictures | {label.encode(): RNG.integers(0, 10, rows).tolist() for label in labels}


def images(folder: str, *names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name in names:
            packed.writestr(f"{folder}/{name}", b"\xff\xd8\xff\xe0\0\x10JFIF\0 a photo")
    return stream.getvalue()


IMDB = npz(x_train=lists(30), y_train=np.arange(30) % 2, x_test=lists(20), y_test=np.arange(20) % 2)
REUTERS = npz(x=lists(40), y=np.arange(40) % 46)
CALIFORNIA = npz(x=RNG.normal(size=(700, 8)), y=RNG.normal(size=700))
CIFAR_10 = {f"data_batch_{i}": batch(4, "labels") for i in range(1, 6)} | {"test_batch": batch(3, "labels")}
CIFAR_100 = {name: batch(n, "fine_labels", "coarse_labels") for name, n in (("train", 6), ("test", 2))}
HOUSES = b"\n".join(b" ".join(b"%.3f" % v for v in row) for row in RNG.normal(size=(506, 14)))
BANK = "RowNumber,CustomerId,Surname,Age,Geography,Exited\n" + "".join(
    f"{i},{i},Smith,{20 + i},{'France' if i % 2 else 'Spain'},{i % 3 == 0:d}\n" for i in range(20)
)
PHONES = ",state,calls,churn\n" + "".join(f"{i},NY,{i},{'yes' if i % 4 == 0 else 'no'}\n" for i in range(20))
BEATS = "\n".join(" ".join(map(str, [i % 2, *RNG.normal(size=96)])) for i in range(9))
RATINGS = "userId,movieId,rating,timestamp\n" + "".join(f"{i},{i % 5},{i % 10 / 2},9\n" for i in range(30))


@dataclass(frozen=True)
class Case:
    module: Any
    files: dict[str, bytes]
    check: Callable[[Any], None]
    call: str = "load_data"
    options: dict[str, Any] = field(default_factory=dict)
    folder: str = ""

    @property
    def served(self) -> str:
        return self.folder or self.module.__name__.rsplit(".", 1)[-1]


def sizes(train: int, test: int, *shape: int) -> Callable[[Any], None]:
    def check(found: Any) -> None:
        (x, y), (x_test, y_test) = found
        assert (len(y), len(y_test)) == (train, test)
        if shape:
            assert x.shape == (train, *shape)
            assert x_test.shape == (test, *shape)

    return check


def equals(expected: Any) -> Callable[[Any], None]:
    def check(found: Any) -> None:
        assert found == expected

    return check


def cifar(found: Any) -> None:
    (x, y), (x_test, y_test) = found
    assert (x.shape, y.shape, x_test.shape, y_test.shape) == ((20, 32, 32, 3), (20, 1), (3, 32, 32, 3), (3, 1))
    row = CIFAR_10["data_batch_2"][b"data"][1].reshape(3, 32, 32)
    np.testing.assert_array_equal(x[5], row.transpose(1, 2, 0))
    assert y[5, 0] == CIFAR_10["data_batch_2"][b"labels"][1]


def has(*parts: str) -> Callable[[Any], None]:
    def check(found: Any) -> None:
        assert sorted(str(p.relative_to(found)) for p in Path(found).rglob("*.jpg")) == sorted(parts)

    return check


d = rv.datasets
CASES = {
    "imdb": Case(d.imdb, {"imdb.npz": IMDB}, sizes(30, 20)),
    "imdb words": Case(d.imdb, {"imdb_word_index.json": b'{"the": 1}'}, equals({"the": 1}), "get_word_index"),
    "reuters": Case(d.reuters, {"reuters.npz": REUTERS}, sizes(32, 8)),
    "reuters words": Case(d.reuters, {"reuters_word_index.json": b'{"a": 2}'}, equals({"a": 2}), "get_word_index"),
    "california": Case(d.california_housing, {"california_housing.npz": CALIFORNIA}, sizes(560, 140, 8)),
    "california, small": Case(
        d.california_housing,
        {"california_housing.npz": CALIFORNIA},
        sizes(480, 120, 8),
        options={"version": "small"},
    ),
    "cifar10": Case(d.cifar10, {"cifar-10-python.tar.gz": archive("cifar-10-batches-py", CIFAR_10)}, cifar),
    "cifar100": Case(
        d.cifar100,
        {"cifar-100-python.tar.gz": archive("cifar-100-python", CIFAR_100)},
        sizes(6, 2, 32, 32, 3),
        options={"label_mode": "coarse"},
    ),
    "boston": Case(d.boston_housing, {"housing.data": HOUSES}, sizes(404, 102, 13), folder="boston"),
    "churn": Case(d.churn, {"Churn_Modelling.csv": BANK.encode()}, sizes(16, 4)),
    "churn, telecom": Case(
        d.churn, {"customer_churn.csv": PHONES.encode()}, sizes(16, 4), options={"which": "telecom"}
    ),
    "ecg": Case(
        d.ecg,
        {"ECG200_TRAIN.txt": BEATS.encode(), "ECG200_TEST.txt": BEATS.encode()},
        sizes(9, 9, 96),
        options={"which": "ECG200"},
    ),
    "movielens": Case(d.movielens, {"ratings.csv": RATINGS.encode()}, sizes(24, 6, 2)),
    "movielens titles": Case(
        d.movielens, {"movies.csv": b'movieId,title,genres\n1,"Up, up",x\n'}, equals({1: "Up, up"}), "load_titles"
    ),
    "polarity": Case(
        d.sentence_polarity,
        {"rt-polarity.neg": b"bad film\n" * 5, "rt-polarity.pos": b"good film\n" * 5},
        sizes(8, 2),
        folder="text",
    ),
    "cats and dogs": Case(
        d.cats_dogs,
        {
            "kagglecatsanddogs_5340.zip": images(
                "PetImages", "Cat/1.jpg", "Cat/2.jpg", "Cat/10.jpg", "Dog/0.jpg", "Dog/7.jpg", "Dog/8.jpg"
            )
        },
        has(
            "train/cats/cat.1.jpg",
            "val/cats/cat.2.jpg",
            "test/cats/cat.10.jpg",
            "train/dogs/dog.0.jpg",
            "val/dogs/dog.7.jpg",
            "test/dogs/dog.8.jpg",
        ),
        "load_folder",
    ),
    "horses and zebras": Case(
        d.horse_zebra,
        {"horse2zebra.zip": images("horse2zebra", "trainA/1.jpg", "trainB/2.jpg", "testA/3.jpg", "testB/4.jpg")},
        has("trainA/1.jpg", "trainB/2.jpg", "testA/3.jpg", "testB/4.jpg"),
        "load_folder",
    ),
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """A loader whose data set has the sums of the case's files; home and environment are empty."""
    for name in ("RANVIER_DATA", "RANVIER_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RANVIER_HOME", str(tmp_path / "home"))
    found: Case = request.param
    for name, value in list(vars(found.module).items()):
        if name.startswith("_") and not name.startswith("__"):
            monkeypatch.setattr(found.module, name, with_sums_of(value, found.files))
    if found.module is d.cats_dogs:
        monkeypatch.setattr(d.cats_dogs, "_SIZES", {"train": 1, "val": 1, "test": 1})
    (tmp_path / "web" / found.served).mkdir(parents=True)
    for name, content in found.files.items():
        (tmp_path / "web" / found.served / name).write_bytes(content)
    return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "web").mkdir(exist_ok=True)
    with serving(tmp_path / "web") as address:
        yield address


def load(case: Case, **more: Any) -> Any:
    return getattr(case.module, case.call)(**case.options, **more)


def test_downloaded_once(case: Case, server: str, tmp_path: Path) -> None:
    case.check(load(case, mirrors=[f"{server}/{case.served}"]))
    for file in (tmp_path / "web" / case.served).iterdir():
        file.unlink()
    case.check(load(case, mirrors=[f"{server}/{case.served}"]))  # from the cache
    case.check(load(case, download=False))
    assert not [p for p in (tmp_path / "home").rglob("*") if p.name.endswith((".tmp", ".new"))]


def test_from_ranvier_data_or_its_mirror(
    case: Case, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANVIER_MIRROR", server)
    case.check(load(case))
    cache = next((tmp_path / "home" / "datasets").iterdir())
    (tmp_path / "data").mkdir()
    cache.rename(tmp_path / "data" / cache.name)
    monkeypatch.setenv("RANVIER_DATA", str(tmp_path / "data"))
    case.check(load(case, download=False))
    case.check(load(case, path=tmp_path / "data" / cache.name))


def test_damaged_and_wrong_ones_are_refused(case: Case, server: str, tmp_path: Path) -> None:
    web = tmp_path / "web" / case.served
    name = next(iter(case.files))
    for content in (case.files[name][:-3], case.files[name] + b"!", b"<html>not found</html>", b""):
        (web / name).write_bytes(content)
        with pytest.raises(FileNotFoundError, match="no mirror gave") as caught:
            load(case, mirrors=[f"{server}/{case.served}"])
        for part in (name, "wrong content", "RANVIER_DATA"):
            assert part in str(caught.value)
        assert not [p for p in (tmp_path / "home").rglob("*") if p.is_file()]


def test_out_of_reach_says_what_to_do(case: Case, server: str) -> None:
    source = "Put" if case.module is d.ecg else "can be had from http"  # nobody offers ECG200 by itself
    for mirrors in ([f"{server}/nothing/here"], ["http://127.0.0.1:9/nobody"], ["no url"]):
        with pytest.raises(FileNotFoundError) as caught:
            load(case, mirrors=mirrors)
        for part in ("RANVIER_DATA", "no mirror gave", source, mirrors[0]):
            assert part in str(caught.value)
    with pytest.raises(FileNotFoundError, match="RANVIER_DATA"):
        load(case, download=False)


@pytest.mark.parametrize("module", [d.mnist, d.fashion_mnist])
def test_idx_files(module: Any, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANVIER_DATA", raising=False)
    monkeypatch.setenv("RANVIER_HOME", str(tmp_path / "home"))
    files = []
    for file in module._DATASET.files:
        shape = (5, *file.shape[1:])
        raw = bytes([0, 0, 8, len(shape)]) + b"".join(s.to_bytes(4, "big") for s in shape) + bytes(int(np.prod(shape)))
        (tmp_path / "web" / file.stored).write_bytes(gzip.compress(raw))
        files.append(IdxFile(file.name, shape, hashlib.sha256(raw).hexdigest()))
    own = module._DATASET
    monkeypatch.setattr(module, "_DATASET", IdxDataset(own.folder, own.mirrors, tuple(files)))
    sizes(5, 5, 28, 28)(module.load_data(mirrors=[server]))
    sizes(5, 5, 28, 28)(module.load_data(download=False))


# --- against Keras's loaders --------------------------------------------------------------------------------

WORDS: list[dict[str, Any]] = [
    {},
    {"num_words": 20, "skip_top": 4},
    {"num_words": 20, "oov_char": None},
    {"maxlen": 8, "seed": 7},
    {"start_char": None, "index_from": 5},
    {"start_char": None, "index_from": 0, "maxlen": 6},
    {"start_char": 9, "index_from": 0},
]


@pytest.mark.parametrize("options", WORDS, ids=str)
@pytest.mark.parametrize(("name", "content"), [("imdb", IMDB), ("reuters", REUTERS)])
def test_words_are_those_of_keras(
    name: str, content: bytes, options: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib

    from tests.peers import keras_or_skip

    keras_or_skip()
    theirs = importlib.import_module(f"keras.src.datasets.{name}")
    module = getattr(rv.datasets, name)
    file = tmp_path / f"{name}.npz"
    file.write_bytes(content)
    monkeypatch.setattr(theirs, "get_file", lambda *args, **kwargs: str(file))
    monkeypatch.setattr(module, "_FILE", with_sums_of(module._FILE, {file.name: content}))
    for ours, right in zip(module.load_data(tmp_path, **options), theirs.load_data(**options), strict=True):
        assert [list(words) for words in ours[0]] == [list(words) for words in right[0]]
        np.testing.assert_array_equal(ours[1], right[1])


def test_sums_and_options_are_those_of_keras() -> None:
    import inspect

    from tests.peers import keras_or_skip

    keras = keras_or_skip()
    for name in ("imdb", "reuters", "california_housing", "cifar10", "cifar100"):
        module, theirs = getattr(rv.datasets, name), getattr(keras.datasets, name)
        source = inspect.getsource(inspect.unwrap(theirs.load_data))
        assert module._FILE.sha256 in source, name
        own = inspect.signature(module.load_data).parameters
        for option, parameter in inspect.signature(theirs.load_data).parameters.items():
            assert option in ("path", "kwargs") or own[option].default == parameter.default, (name, option)
    for name in ("imdb", "reuters"):
        module, theirs = getattr(rv.datasets, name), getattr(keras.datasets, name)
        assert module._INDEX.md5 in inspect.getsource(inspect.unwrap(theirs.get_word_index))
    assert rv.datasets.reuters.get_label_names() == keras.datasets.reuters.get_label_names()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: d.cifar100.load_data("fien"), "Did you mean 'fine'"),
        (lambda: d.california_housing.load_data("larg"), "Did you mean 'large'"),
        (lambda: d.reuters.load_data(test_split=1.0), "test_split must be in"),
    ],
)
def test_messages(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


def test_nothing_left_and_no_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(d.imdb, "_FILE", with_sums_of(d.imdb._FILE, {"imdb.npz": IMDB}))
    (tmp_path / "imdb.npz").write_bytes(IMDB)
    with pytest.raises(ValueError, match="fewer than maxlen=1 words"):
        d.imdb.load_data(tmp_path, maxlen=1)
    with pytest.raises(ValueError, match="has no pictures in trainA"):
        d.horse_zebra.load_folder(tmp_path)
