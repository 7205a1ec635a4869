"""get_file against a local server; custom objects and configurations under Keras's names."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import os
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ranvier as rv
from ranvier import utils

CONTENT = os.urandom(200_000)
SHA256, MD5 = hashlib.sha256(CONTENT).hexdigest(), hashlib.md5(CONTENT).hexdigest()


class Handler(http.server.SimpleHTTPRequestHandler):
    asked: list[str] = []

    def log_message(self, *args: Any) -> None:
        Handler.asked.append(self.path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(CONTENT)
    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        Handler.asked.clear()
        yield f"http://127.0.0.1:{running.server_port}", folder
        running.shutdown()


def test_downloaded_once_and_checked(server: tuple[str, Path], tmp_path: Path) -> None:
    url, _ = server
    get = functools.partial(utils.get_file, origin=f"{url}/weights.bin?v=1", cache_dir=tmp_path / "cache")
    path = get(file_hash=SHA256)
    assert path == str(tmp_path / "cache" / "datasets" / "weights.bin")
    assert Path(path).read_bytes() == CONTENT
    assert get(file_hash=SHA256.upper()) == get(md5_hash=MD5) == get() == path
    assert len(Handler.asked) == 1
    Path(path).write_bytes(b"damaged")
    assert Path(get(file_hash=SHA256)).read_bytes() == CONTENT and len(Handler.asked) == 2
    get(force_download=True)
    assert len(Handler.asked) == 3
    assert sorted(os.listdir(tmp_path / "cache" / "datasets")) == ["weights.bin"]


def test_what_is_wrong_takes_no_place(server: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = server
    get = functools.partial(utils.get_file, origin=f"{url}/weights.bin", cache_dir=tmp_path / "cache")
    with pytest.raises(ValueError, match=f"has the wrong content: hash {SHA256}, expected {'0' * 64}"):
        get(file_hash="0" * 64)
    with pytest.raises(OSError, match=r"nothing\.bin could not be downloaded: HTTP Error 404"):
        get(origin=f"{url}/nothing.bin")
    assert os.listdir(tmp_path / "cache" / "datasets") == []
    path = Path(get())
    (folder / "weights.bin").unlink()
    with pytest.raises(OSError, match="could not be downloaded"):
        get(file_hash="0" * 64)  # the old file stays
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archives(server: tuple[str, Path], tmp_path: Path, kind: str) -> None:
    url, folder = server
    if kind == "zip":
        with zipfile.ZipFile(folder / "data.zip", "w") as packed:
            packed.writestr("inner/a.txt", "one")
    else:
        with tarfile.open(folder / "data.tar.gz", "w:gz") as tar:
            info = tarfile.TarInfo("inner/a.txt")
            info.size = 3
            tar.addfile(info, io.BytesIO(b"one"))
    get = functools.partial(utils.get_file, origin=f"{url}/data.{kind}", cache_dir=tmp_path / "c", extract=True)
    assert get() == str(tmp_path / "c" / "datasets" / f"data.{kind}")
    assert (Path(get()) / "inner" / "a.txt").read_text() == "one"
    assert get(f"mine.{kind}").endswith("mine_extracted")
    assert len(Handler.asked) == 2
    with pytest.raises(ValueError, match="is no tar or zip archive"):
        get(origin=f"{url}/weights.bin")


def test_archives_that_reach_outside(server: tuple[str, Path], tmp_path: Path) -> None:
    url, folder = server
    with zipfile.ZipFile(folder / "evil.zip", "w") as packed:
        packed.writestr("../../evil.txt", "gotcha")
    with tarfile.open(folder / "evil.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("../../evil.txt"))
    for name in ("evil.zip", "evil.tar"):
        with pytest.raises((ValueError, tarfile.TarError), match="outside"):
            utils.get_file(origin=f"{url}/{name}", cache_dir=tmp_path / "c", extract=True)
    assert not list(tmp_path.glob("**/evil.txt"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "origin, the URL of the file, is missing"),
        ({"origin": "http://127.0.0.1/"}, "names no file; give fname"),
        ({"origin": "http://127.0.0.1/a", "fname": "../a"}, "must be a name without a path"),
        ({"origin": "file:///etc/hostname", "file_hash": "0", "hash_algorithm": "crc"}, "hash_algorithm must be"),
    ],
)
def test_get_file_refuses(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, OSError), match=message):
        utils.get_file(**options, cache_dir=tmp_path)


# --- custom objects -------------------------------------------------------------------------------------------


def test_custom_objects_are_those_of_saving() -> None:
    @utils.register_keras_serializable("utils_tests")
    class Doubling(rv.layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 2

    assert utils.get_registered_name(Doubling) == "utils_tests>Doubling"
    assert utils.get_registered_object("utils_tests>Doubling") is Doubling
    assert utils.get_custom_objects()["utils_tests>Doubling"] is Doubling
    written = json.loads(json.dumps(utils.serialize_keras_object(Doubling(name="twice"))))
    again = utils.deserialize_keras_object(written)
    assert isinstance(again, Doubling) and again.name == "twice"
    del utils.get_custom_objects()["utils_tests>Doubling"]
    with pytest.raises(ValueError, match="Could not locate 'Doubling'"):
        utils.deserialize_keras_object(written)
    assert isinstance(utils.deserialize_keras_object(written, {"Doubling": Doubling}), Doubling)
    with utils.custom_object_scope({"Doubling": Doubling}):
        assert isinstance(utils.deserialize_keras_object(written), Doubling)
    with pytest.raises(TypeError, match="unknown argument 'modules'"):
        utils.deserialize_keras_object(written, modules={})


def test_names_begin_afresh() -> None:
    utils.clear_session()
    assert [rv.layers.Dense(1).name for _ in range(2)] == ["dense", "dense_1"]
    utils.clear_session(free_memory=False)
    assert rv.layers.Dense(1).name == "dense"


def test_seeds_of_everything() -> None:
    import random

    import numpy as np

    def draw() -> tuple[float, float, float]:
        utils.set_random_seed(5)
        return random.random(), float(np.random.rand()), rv.random.uniform(1).item()

    assert draw() == draw()
