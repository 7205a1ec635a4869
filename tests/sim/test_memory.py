"""Device memory as on a GPU: the host cannot touch it but through copies, and blocks come from the cache of GPUs."""

import gc
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core

TOUCH = """
import ctypes, ranvier as rv
x = rv.Tensor([1.0, 2.0, 3.0]).to("sim")
y = (x * x).numpy()  # kernels and copies pass
assert y.tolist() == [1.0, 4.0, 9.0]
print("before", flush=True)
print(ctypes.c_float.from_address(x.array.address).value)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the simulator needs Linux")
def test_the_host_cannot_read_device_memory() -> None:
    done = subprocess.run([sys.executable, "-c", TOUCH], capture_output=True, text=True)
    assert done.stdout == "before\n" and done.returncode != 0


def test_numpy_of_a_device_array_is_a_copy() -> None:
    x = rv.Tensor([1.0, 2.0]).to("sim")
    x.numpy()[:] = 7.0
    assert x.tolist() == [1.0, 2.0]


def test_a_buffer_on_a_device_is_refused() -> None:
    with pytest.raises(BufferError):
        memoryview(_core.Array.zeros([2], "float32", "sim"))


def test_blocks_are_handed_out_again_and_never_twice() -> None:
    def held() -> int:
        return int(_core._sim_memory_stats()["in_use"])

    gc.collect()  # models of other tests, in cycles, which would go in the middle
    rng = np.random.default_rng(5)
    before, arrays = held(), {}
    for step in range(2000):
        if arrays and rng.random() < 0.5:
            size, array = arrays.pop(list(arrays)[rng.integers(len(arrays))])
            assert (array.numpy() == size % 97).all()
        else:
            size = int(rng.choice([1, 100, 700, 5000, 300_000, 3_000_000], p=[0.3, 0.3, 0.2, 0.15, 0.04, 0.01]))
            values = np.full(size, size % 97, np.float32)
            arrays[step] = (size, _core.Array.from_numpy(values, True, "sim"))
    spans = sorted((a.address, a.address + a.nbytes) for _, a in arrays.values())
    assert all(end + 64 <= begin for (_, end), (begin, _) in pairwise(spans))
    assert held() >= before + sum(a.nbytes for _, a in arrays.values())
    system = _core._sim_memory_stats()["system_allocations"]
    del array
    arrays.clear()
    assert held() == before
    again = [_core.Array.empty([5000], "float32", "sim") for _ in range(50)]
    assert len({a.address for a in again}) == 50
    assert _core._sim_memory_stats()["system_allocations"] == system


def test_too_much_memory_is_said_with_the_bytes_asked_for() -> None:
    with pytest.raises(MemoryError, match=r"sim: 4398046511104 bytes asked for"):
        _core.Array.empty([1 << 40], "float32", "sim")
    assert (rv.Tensor([2.0]).to("sim") * 3.0).tolist() == [6.0]
