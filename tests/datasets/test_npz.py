"""The reader of plain data in pickles: what it reads, and that it refuses everything else without running it."""

from __future__ import annotations

import io
import os
import pickle
import random
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier.datasets
from ranvier.datasets import _npz
from ranvier.datasets._files import CorruptFileError
from ranvier.datasets._npz import plain_data, read_npy, read_npz


def objects(*items: Any) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


GOOD = [[1, 255, 256, 65535, 65536, -1, 2**31 - 1, -(2**31), 2**40, -(2**62)], [], list(range(-40, 70_000, 23))]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_reads_what_numpy_wrote(protocol: int) -> None:
    assert plain_data(pickle.dumps(objects(*GOOD), protocol), "file") == GOOD
    pixels = np.arange(24, dtype="uint8").reshape(4, 6)
    batch = {"data": pixels, "labels": [3, 1], "names": ["a", "b"], "more": np.arange(3.0)}
    if protocol < 5:  # which has a way of its own for arrays
        found = plain_data(pickle.dumps(batch, protocol), "file")
        np.testing.assert_array_equal(found["data"], pixels)
        np.testing.assert_array_equal(found["more"], [0, 1, 2])
        assert (found["labels"], found["names"]) == ([3, 1], ["a", "b"])


def test_reads_what_python_2_wrote() -> None:
    """CIFAR's layout, byte for byte as cPickle's protocol 2 has it."""
    head = b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x08trainingU\x06labelsq\x04]q\x05(K\x06M\x01\x02eU\x04dataq\x06"
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09"
    state = b"(K\x01K\x02K\x03\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN" + 2 * b"J\xff\xff\xff\xff"
    found = plain_data(head + array + state + b"K\x00tb\x89T\x06\x00\x00\x00abcdeftbu.", "file")
    assert found["labels"] == [6, 513]
    np.testing.assert_array_equal(found["data"], [[97, 98, 99], [100, 101, 102]])


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/ranvier-was-here",)


def cycle() -> Any:
    loop: list[Any] = []
    loop.append(loop)
    return objects(loop)


def shared() -> Any:
    one = [1] * 100
    return objects(one, one)


HOSTILE: dict[str, Any] = {
    "a call": Evil(),
    "a call in a list": objects([1, Evil()]),
    "eval": objects([eval]),
    "a class": OrderedDict,
    "an object": OrderedDict(a=1),
    "a set": {1, 2},
    "a float": 1.5,
    "a complex number": 1j,
    "a large integer": 2**100,
    "a list that holds itself": cycle(),
    "a list in two places": shared(),
    "arrays in arrays": objects(np.arange(3)),
    "a matrix of objects": np.array([[[1], None], [None, None]], dtype=object),
    "dates": np.array(["2020-01-01"], dtype="M8[D]"),
    "a structure": np.zeros(2, dtype=[("a", "i4")]),
    "none": None,
    "a tuple": (1, 2),
}


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", HOSTILE)
def test_refuses_all_else(name: str, protocol: int) -> None:
    marker = Path("/tmp/ranvier-was-here")
    marker.unlink(missing_ok=True)
    data = pickle.dumps(HOSTILE[name], protocol)
    with pytest.raises(CorruptFileError, match=r"refused|expected"):
        read_npy(npy_of(data, 1), "file")
    assert not marker.exists()


def npy_of(pickled: bytes, count: int) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": (count,)})
    return stream.getvalue() + pickled


RAW = {
    "nothing": b"",
    "only a stop": b".",
    "no stop": b"\x80\x02K\x01",
    "something after the stop": b"K\x01.K\x02.",
    "two values": b"K\x01K\x02.",
    "bytes longer than the file": b"B\xff\xff\xff\x7fabc.",
    "bytes of 2^63": b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    "a negative length": b"T\xff\xff\xff\xffabc.",
    "a long integer": b"\x8a\xff" + b"\x01" * 255 + b".",
    "append to a number": b"K\x01K\x02a.",
    "append without a list": b"K\x02a.",
    "items without a mark": b"]K\x01e.",
    "a mark as a value": b"](a.",
    "an unknown memo": b"h\x07.",
    "memo of nothing": b"q\x00.",
    "a key that is a list": b"}]K\x01s.",
    "an odd dictionary": b"}(K\x01u.",
    "os.system": b"cos\nsystem\n(U\x02lsR.",
    "builtins": b"\x8c\x08builtins\x8c\x04eval\x93.",
    "a name without an end": b"c" + b"a" * 1000,
    "a persistent id": b"U\x01aQ.",
    "an extension": b"\x82\x01.",
    "a new object": b"cnumpy\nndarray\n)\x81.",
    "calling ndarray": b"cnumpy\nndarray\n)R.",
    "a buffer": b"\x97.",
    "text that is no text": b"X\x02\x00\x00\x00\xff\xff.",
    "dtype with a state of its own": b"cnumpy\ndtype\nU\x02O8\x85R(K\x03U\x01|]tb.",
}


@pytest.mark.parametrize("data", RAW.values(), ids=RAW.keys())
def test_refuses_damage(data: bytes) -> None:
    with pytest.raises(CorruptFileError):
        plain_data(data, "file")


def only_data(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(only_data, value.values()))
    if isinstance(value, list):
        return all(
            only_data(each) or isinstance(each, (_npz._Global, _npz._Array, tuple, type(None))) for each in value
        )
    return isinstance(value, (int, str, bytes, np.ndarray))


def test_mutations_give_data_or_a_refusal() -> None:
    rng = random.Random(1)
    good = [pickle.dumps(objects([1, 2, 300], [70000], []), p) for p in (2, 3, 4)]
    good.append(pickle.dumps({"data": np.arange(6, dtype="uint8"), "labels": [1, 2]}, 3))
    refused = 0
    for _ in range(6000):
        data = bytearray(rng.choice(good))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            if rng.random() < 0.3:
                del data[at : at + rng.randint(1, 5)]
            else:
                data[at] = rng.randrange(256)
            if not data:
                break
        try:
            assert only_data(plain_data(bytes(data), "file"))
        except CorruptFileError:
            refused += 1
    assert refused > 3000


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(f"{name}.npy", content)
    return stream.getvalue()


def plain(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array)
    return stream.getvalue()


def test_archives(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.arange(6, dtype=">f4").reshape(2, 3)
    data = archive(x=plain(numbers), y=plain(np.asfortranarray(numbers)), z=npy_of(pickle.dumps(objects([1], [])), 2))
    x, y, z = read_npz(data, "file", ("x", "y", "z"))
    np.testing.assert_array_equal(x, numbers)
    np.testing.assert_array_equal(y, numbers)
    assert z == [[1], []] and x.flags.writeable
    for content, match in (
        (data[:-30], "truncated or is no .npz"),
        (b"", "truncated or is no .npz"),
        (archive(y=b""), "has no array 'x'; it has y.npy"),
        (archive(x=b"no numpy"), "is no .npy file"),
        (archive(x=plain(numbers)[:-1]), "23 bytes are no array"),
        (archive(x=plain(numbers).replace(b"(2, 3)", b"(9**9)"[:6])), "no .npy file|no array"),
        (archive(x=npy_of(pickle.dumps(objects([1])), 2)), "expected"),
        (archive(x=npy_of(pickle.dumps(objects(["a"])), 1)), "lists of integers"),
        (archive(x=npy_of(pickle.dumps(objects(3)), 1)), "lists of integers"),
    ):
        with pytest.raises(CorruptFileError, match=match):
            read_npz(content, "file", ("x",))
    monkeypatch.setattr(_npz, "LARGEST_MEMBER", 100)
    with pytest.raises(CorruptFileError, match="more than 100 bytes"):
        read_npz(archive(x=plain(np.zeros(10**6))), "file", ("x",))  # small when packed


def test_the_package_has_no_pickle() -> None:
    folder = Path(ranvier.datasets.__file__).parent
    for file in folder.glob("*.py"):
        text = file.read_text()
        assert "import pickle" not in text and "allow_pickle=True" not in text, file
