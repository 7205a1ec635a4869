"""IDX data sets from folders, the cache and a local server; broken files; the course's W18 on the real MNIST."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier.datasets import fashion_mnist, mnist
from ranvier.datasets._idx import IdxDataset, IdxFile

RANVIER_DATA = os.environ.get("RANVIER_DATA", "")


def idx_bytes(values: np.ndarray, kind: int = 8) -> bytes:
    sides = b"".join(side.to_bytes(4, "big") for side in values.shape)
    return bytes([0, 0, kind, values.ndim]) + sides + values.tobytes()


def small_arrays() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, shape).astype(np.uint8) for shape in ((6, 4, 4), (6,), (3, 4, 4), (3,))]


NAMES = ("train-images", "train-labels", "test-images", "test-labels")


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[IdxDataset, Path]:
    """A data set like MNIST, small, and a folder that serves it; home and environment are empty."""
    monkeypatch.delenv("RANVIER_DATA", raising=False)
    monkeypatch.delenv("RANVIER_MIRROR", raising=False)
    monkeypatch.setenv("RANVIER_HOME", str(tmp_path / "home"))
    source = tmp_path / "served" / "small"
    source.mkdir(parents=True)
    files = []
    for name, array in zip(NAMES, small_arrays(), strict=True):
        raw = idx_bytes(array)
        (source / f"{name}.gz").write_bytes(gzip.compress(raw))
        files.append(IdxFile(name, array.shape, hashlib.sha256(raw).hexdigest()))
    return IdxDataset("small", ("http://127.0.0.1:9/nobody",), tuple(files)), source  # type: ignore[arg-type]


@pytest.fixture
def server(small: tuple[IdxDataset, Path]) -> Iterator[str]:
    folder = small[1].parent

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def assert_loaded(data: Any) -> None:
    for ours, right in zip([a for pair in data for a in pair], small_arrays(), strict=True):
        assert ours.dtype == np.uint8 and ours.flags.writeable
        np.testing.assert_array_equal(ours, right)


def test_from_a_folder_and_from_ranvier_data(small: tuple[IdxDataset, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, source = small
    assert_loaded(dataset.load(source, True, None))
    monkeypatch.setenv("RANVIER_DATA", str(source.parent))
    assert_loaded(dataset.load(None, False, None))


def test_downloads_once_then_reads_the_cache(
    small: tuple[IdxDataset, Path], server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, source = small
    assert_loaded(dataset.load(None, True, [f"{server}/small/"]))
    assert "train-images.gz" in capsys.readouterr().err  # the progress bar
    cache = Path(os.environ["RANVIER_HOME"]) / "datasets" / "small"
    assert sorted(p.name for p in cache.iterdir()) == sorted(f"{name}.gz" for name in NAMES)  # no temporary file
    for name in NAMES:
        (source / f"{name}.gz").unlink()
    assert_loaded(dataset.load(None, False, None))


def test_mirror_from_the_environment(
    small: tuple[IdxDataset, Path], server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANVIER_MIRROR", f"{server}/")
    assert_loaded(small[0].load(None, True, None))


def test_a_bad_mirror_is_passed_over(small: tuple[IdxDataset, Path], server: str) -> None:
    dataset, source = small
    bad = source.parent / "bad"
    bad.mkdir()
    for name in NAMES:
        (bad / f"{name}.gz").write_bytes((source / f"{name}.gz").read_bytes()[:-9])
    mirrors = ["no url", f"{server}/absent", f"{server}/bad", f"{server}/small"]
    assert_loaded(dataset.load(None, True, mirrors))
    with pytest.raises(FileNotFoundError) as caught:
        IdxDataset("other", dataset.mirrors, dataset.files).load(None, True, mirrors[:3])
    for part in ("unknown url type", "404", "truncated", "test-labels.gz", "RANVIER_DATA", "home/datasets/other"):
        assert part in str(caught.value)
    assert not (Path(os.environ["RANVIER_HOME"]) / "datasets" / "other").exists()


def test_a_connection_that_breaks_off(small: tuple[IdxDataset, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    class Short(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 10)

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Short) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            with pytest.raises(FileNotFoundError, match="ended after 10 of 1000 bytes"):
                small[0].load(None, True, [f"http://127.0.0.1:{running.server_port}"])
        finally:
            running.shutdown()
            thread.join()


def test_offline_says_where_to_put_which_files(small: tuple[IdxDataset, Path], tmp_path: Path) -> None:
    for download in (True, False):
        with pytest.raises(FileNotFoundError) as caught:
            small[0].load(None, download, None)
        for part in (*(f"{name}.gz" for name in NAMES), str(tmp_path / "home"), "RANVIER_DATA", "http://127.0.0.1:9"):
            assert part in str(caught.value)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        small[0].load(tmp_path / "nowhere", True, None)


def broken_files() -> list[tuple[str, bytes, str]]:
    images = small_arrays()[0]
    raw = idx_bytes(images)
    other = images.copy()
    other[2, 1, 3] ^= 1
    return [
        ("empty", b"", "truncated or is no gzip file|begins b''"),
        ("no gzip", raw, "no gzip file"),
        ("cut gzip", gzip.compress(raw)[:-20], "truncated"),
        ("flipped bit", bytes(b ^ (i == 30) for i, b in enumerate(gzip.compress(raw))), "train-images.gz"),
        ("wrong magic", gzip.compress(b"\x01" + raw[1:]), "no IDX file"),
        ("wrong type", gzip.compress(idx_bytes(images, kind=13)), "no IDX file of uint8 of rank 3"),
        ("labels", gzip.compress(idx_bytes(images[0, 0])), "of rank 3"),
        ("header only", gzip.compress(raw[:10]), "fewer than the 112 bytes"),
        ("cut before", gzip.compress(raw[:-1]), "fewer than the 112 bytes"),
        ("too long", gzip.compress(raw + b"x"), "more than the 112 bytes"),
        ("bomb", gzip.compress(bytes(8) + bytes(1 << 24)), "no IDX file"),
        ("other sides", gzip.compress(idx_bytes(images.reshape(4, 4, 6))), "holds an array \\(4, 4, 6\\)"),
        ("huge sides", gzip.compress(raw[:4] + b"\xff" * 12 + raw[16:]), "holds an array"),
        ("other content", gzip.compress(idx_bytes(other)), "wrong content: SHA-256"),
    ]


@pytest.mark.parametrize(("content", "match"), [pytest.param(c, m, id=n) for n, c, m in broken_files()])
def test_broken_files_are_refused(small: tuple[IdxDataset, Path], content: bytes, match: str) -> None:
    dataset, source = small
    (source / "train-images.gz").write_bytes(content)
    with pytest.raises(ValueError, match=match):
        dataset.load(source, True, None)


def test_an_interrupted_write_leaves_nothing(
    small: tuple[IdxDataset, Path], server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        small[0].load(None, True, [f"{server}/small"])
    assert list((Path(os.environ["RANVIER_HOME"]) / "datasets" / "small").iterdir()) == []


# --- the real ones ----------------------------------------------------------------------------------------

needs_data = pytest.mark.skipif(not RANVIER_DATA, reason="RANVIER_DATA is not set: no MNIST here")


@needs_data
def test_mnist_as_the_course_prints_it() -> None:
    """W18, checked on the data: row 7 of the first picture, labels and their one-hot rows."""
    (x_train, y_train), (x_test, y_test) = mnist.load_data(download=False)
    assert (x_train.shape, x_test.shape, x_train.dtype) == ((60000, 28, 28), (10000, 28, 28), np.uint8)
    assert x_train[0, 7].tolist() == [0] * 7 + [49, 238] + [253] * 8 + [251, 93, 82, 82, 56, 39] + [0] * 5
    assert y_train[0] == 5
    assert rv.utils.to_categorical(y_train[0], 10).tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert (y_test[0], y_test[9999], y_test[6597]) == (7, 6, 0)
    assert np.bincount(y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]  # W15's rows


@needs_data
def test_fashion_mnist() -> None:
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data(download=False)
    assert abs(x_train.mean() - 72.940) < 5e-4 and abs(x_train.std() - 90.021) < 5e-4
    assert np.bincount(y_train).tolist() == [6000] * 10 and np.bincount(y_test).tolist() == [1000] * 10
    assert x_test.shape == (10000, 28, 28)


def test_digits_and_iris() -> None:
    pytest.importorskip("sklearn")
    (x_train, y_train), (x_test, y_test) = rv.datasets.digits.load_data()
    assert (x_train.shape, x_test.shape, x_train.dtype, y_train.dtype) == ((1438, 8, 8), (359, 8, 8), "uint8", "uint8")
    assert x_train.max() == 16 and set(y_test) == set(range(10))
    (x_train, y_train), (x_test, y_test) = rv.datasets.iris.load_data()
    assert (x_train.shape, x_test.shape, x_train.dtype) == ((120, 4), (30, 4), "float32")
    assert np.bincount(np.concatenate([y_train, y_test])).tolist() == [50, 50, 50]
    np.testing.assert_allclose(np.concatenate([x_train, x_test]).mean(0), [5.84, 3.06, 3.76, 1.20], atol=0.005)
    np.testing.assert_array_equal(rv.datasets.iris.load_data(seed=113)[0][0], x_train)
    with pytest.raises(ValueError, match="test_split must be in"):
        rv.datasets.iris.load_data(test_split=1.0)


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"ranvier\[examples\]"):
        rv.datasets.digits.load_data()
