"""Files that mean harm: each is refused with a clear error, by name, and takes neither memory nor time."""

from __future__ import annotations

import json
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from tests.saving import fuzz
from tests.saving.test_files import rewritten

h5py = pytest.importorskip("h5py", reason="Keras's files need h5py: pip install h5py")


def model() -> Any:
    return rv.Sequential([rv.Input((4,)), rv.layers.Dense(3, name="dense"), rv.layers.Dense(2, name="last")])


def loads(path: Path) -> Any:
    """Loads a file as a user would, and sees that nothing large was taken."""
    tracemalloc.start()
    try:
        if path.suffix in (".rv", ".keras"):
            return rv.models.load_model(path)
        if path.suffix == ".h5":
            return model().load_weights(path)
        return rv.utils.load_img(path)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 << 20, f"{peak} bytes were taken"


# --- .rv ----------------------------------------------------------------------------------------------------


def _units(value: Any) -> Callable[[Any, Any], None]:
    def change(header: Any, description: Any) -> None:
        description["model"]["config"]["layers"][1]["config"]["units"] = value

    return change


def _nested(header: Any, description: Any) -> None:
    description["model"] = json.loads("[" * 900 + "]" * 900)


def _missing(header: Any, description: Any) -> None:
    del description["model"]["config"]


def _function(header: Any, description: Any) -> None:
    config = description["model"]["config"]["layers"][1]["config"]
    config["activation"] = {"class_name": "function", "module": "os", "config": "system", "registered_name": "system"}


def _other_class(header: Any, description: Any) -> None:
    description["model"]["class_name"], description["model"]["module"] = "Popen", "subprocess"


def _vocabulary(header: Any, description: Any) -> None:
    description["model"]["config"]["layers"][1] = {
        "module": "ranvier.layers", "class_name": "StringLookup", "registered_name": None,
        "config": {"vocabulary": "/etc/passwd", "name": "lookup"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_units(10**9), "larger than what the file has left"),
        (_units(2**62), "larger than what the file has left|too large|cannot be made"),
        (_units(-3), "cannot be made"),
        (_nested, "holds weights and no model"),
        (_missing, "cannot be made"),
        (_function, "cannot be made: .*system"),
        (_other_class, "Could not locate 'Popen'"),
        (_vocabulary, "cannot be made: .*vocabulary"),
    ],
)
def test_configurations_of_rv_files(tmp_path: Path, change: Any, message: str) -> None:
    path = tmp_path / "hostile.rv"
    model().save(path)
    path.write_bytes(rewritten(path.read_bytes(), change))
    with pytest.raises(ValueError, match=message) as caught:
        loads(path)
    assert "hostile.rv" in str(caught.value)


@pytest.mark.parametrize("length", [2**63, 2**40, 99_999_999])
def test_a_header_longer_than_the_file(tmp_path: Path, length: int) -> None:
    path = tmp_path / "hostile.rv"
    path.write_bytes(struct.pack("<Q", length) + b"{" * 100)
    with pytest.raises(ValueError, match=r"hostile\.rv' cannot be read: its header should have"):
        loads(path)


def test_a_file_that_is_cut_while_it_is_read(tmp_path: Path) -> None:
    """By position, not mapped: no signal."""
    from ranvier.saving import file

    path = tmp_path / "m.rv"
    model().save(path)
    with pytest.raises(OSError, match="became shorter"), file.opened(str(path)) as (_, tensors):
        path.write_bytes(path.read_bytes()[:100])
        next(iter(tensors.values())).tensor()


# --- .keras and HDF5 ------------------------------------------------------------------------------------------


def archive(path: Path, change: Callable[[dict[str, bytes]], Any], method: int = zipfile.ZIP_STORED) -> Path:
    """A good ``.keras`` file with its parts changed."""
    good = path.with_name("good.keras")
    model().save(good)
    with zipfile.ZipFile(good) as opened:
        parts = {name: opened.read(name) for name in opened.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w", method) as made:
        for name, part in parts.items():
            made.writestr(name, part)
    return path


def test_archives_do_not_write_outside(tmp_path: Path) -> None:
    """Names of parts lead nowhere: nothing is unpacked by name."""
    folder = tmp_path / "inside"
    folder.mkdir()

    def escape(parts: dict[str, bytes]) -> None:
        parts["../escaped"] = parts[f"{tmp_path}/absolute"] = b"x"

    loads(archive(folder / "m.keras", escape))
    assert [p.name for p in tmp_path.iterdir()] == ["inside"]
    assert sorted(p.name for p in folder.iterdir()) == ["good.keras", "m.keras"]


def _huge(parts: dict[str, bytes]) -> None:
    parts["config.json"] = parts["config.json"].replace(b'"units": 3', b'"units": 3000000000')


def _bomb(parts: dict[str, bytes]) -> None:
    parts["config.json"] = b'{"config": {}, "x": "' + b" " * (1 << 26) + b'"}'


def _weights_bomb(parts: dict[str, bytes]) -> None:
    parts["model.weights.h5"] = bytes(1 << 26)


@pytest.mark.parametrize(
    ("change", "method", "message"),
    [
        (lambda parts: parts.pop("config.json"), zipfile.ZIP_STORED, "holds no config.json"),
        (lambda parts: parts.pop("model.weights.h5"), zipfile.ZIP_STORED, r"holds no model\.weights\.h5"),
        (lambda parts: parts.update({"config.json": b"[" * 10**5}), zipfile.ZIP_STORED, "is not JSON"),
        (_huge, zipfile.ZIP_STORED, "larger than what the file has left"),
        (_bomb, zipfile.ZIP_DEFLATED, r"would grow from \d+ to \d+ bytes: refused"),
        (_weights_bomb, zipfile.ZIP_DEFLATED, "refused"),
        (lambda parts: None, zipfile.ZIP_BZIP2, "compressed as Keras never does"),
    ],
)
def test_archives(tmp_path: Path, change: Any, method: int, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        loads(archive(tmp_path / "hostile.keras", change, method))
    assert "hostile.keras" in str(caught.value)


def _external(file: Any, folder: Path) -> None:
    file["layers/dense/vars"].create_dataset("0", (4, 3), "f4", external=[(str(folder / "secret"), 0, 48)])


def _linked(file: Any, folder: Path) -> None:
    file["layers/dense/vars/0"] = h5py.ExternalLink(str(folder / "other.h5"), "/x")


def _soft(file: Any, folder: Path) -> None:
    file["layers/dense/vars/0"] = h5py.SoftLink("/layers/dense/vars")


def _unstored(file: Any, folder: Path) -> None:
    file["layers/dense/vars"].create_dataset("0", (2**40, 2**20), "f4", chunks=(1024, 1024))


def _compressed(file: Any, folder: Path) -> None:
    file["layers/dense/vars"].create_dataset("0", (2**30, 3), "f4", chunks=(1024, 3), compression="gzip")


def _objects(file: Any, folder: Path) -> None:
    file["layers/dense/vars"].create_dataset("0", (4, 3), h5py.string_dtype())


def _other_shape(file: Any, folder: Path) -> None:
    file["layers/dense/vars/0"] = np.zeros((3, 4), np.float32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_external, "values in other files"),
        (_linked, "link to somewhere else"),
        (_soft, "link to somewhere else"),
        (_unstored, "the file holds 0"),
        (_compressed, "the file holds 0"),
        (_objects, "not numbers"),
        (_other_shape, r"has shape \(4, 3\), the file \(3, 4\)"),
    ],
)
def test_hdf5(tmp_path: Path, change: Any, message: str) -> None:
    path = tmp_path / "hostile.weights.h5"
    model().save_weights(path)
    (tmp_path / "secret").write_bytes(b"s" * 48)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.zeros((4, 3), np.float32)
    with h5py.File(path, "a") as file:
        del file["layers/dense/vars/0"]
        change(file, tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        loads(path)
    assert "hostile.weights.h5" in str(caught.value)


def test_a_picture_that_would_fill_the_memory(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image", reason="images need Pillow")
    path = tmp_path / "hostile.bmp"
    image.new("L", (4, 4)).save(path)
    data = bytearray(path.read_bytes())
    data[18:26] = struct.pack("<ii", 12000, 12000)
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"hostile\.bmp' cannot be read as an image: it should have 12000 x 12000"):
        loads(path)


# --- many more --------------------------------------------------------------------------------------------------


def test_a_thousand_files_made_at_random() -> None:
    """``python -m tests.saving.fuzz --inputs 200000`` does the same at length."""
    counts, found = fuzz.run(1400, seed=1)
    assert not found
    assert sum(counts.values()) == 1400 and len(counts) >= 12


def test_names_of_any_length_in_a_damaged_heap(tmp_path: Path) -> None:
    """Found by fuzzing: the HDF5 library takes all memory for a text whose length is damaged."""
    path = tmp_path / "hostile.h5"
    data = bytearray(fuzz._layered(path, model(), "O"))
    heap = data.find(b"GCOL")
    triple = data.find(heap.to_bytes(8, "little"))  # length, place of the heap, index
    data[triple - 4 : triple] = b"\xff\xff\xff\x7f"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"hostile\.h5"):
        loads(path)
