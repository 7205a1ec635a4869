"""Memory, streams, events and exchange with other libraries on a GPU."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import ranvier as rv


def test_values_go_and_come_back() -> None:
    rng = np.random.default_rng(0)
    for size in (0, 1, 1000, 3_000_000, 20_000_000):  # staged in pinned memory, and left to the driver
        values = rng.normal(size=size).astype(np.float32)
        there = rv.Tensor(values).to("cuda")
        values_back = there.numpy()
        np.testing.assert_array_equal(values_back, values)
        np.testing.assert_array_equal(there.to("cpu").numpy(), values)
        np.testing.assert_array_equal(there.to("sim").numpy(), values)


def test_devices_have_names_and_numbers() -> None:
    assert rv.cuda.device_name() and rv.cuda.device_capability() >= (8, 0)
    with rv.device("cuda"):
        assert rv.get_device() == "cuda:0" and rv.Tensor([1.0]).device == "cuda:0"
    x = rv.Tensor([1.0]).to("cuda")
    assert x.to("cuda") is x
    with pytest.raises(rv.DeviceError, match="cuda:99"):
        rv.Tensor([1.0]).to("cuda:99")


def test_a_steady_loop_takes_nothing_from_cuda() -> None:
    x = rv.Tensor(np.ones((256, 256), np.float32)).to("cuda")
    for _ in range(3):
        (x @ x + x).numpy()
    before = rv.cuda.memory_stats()["system_allocations"]
    for _ in range(50):
        (x @ x + x).numpy()
    assert rv.cuda.memory_stats()["system_allocations"] == before


def test_too_much_memory_is_an_error_and_the_process_goes_on() -> None:
    with rv.device("cuda"):
        with pytest.raises(MemoryError, match="cuda:0: 4398046511104 bytes asked for"):
            rv.ops.zeros((1 << 40,))
        assert rv.Tensor([2.0]).numpy()[0] == 2.0
    rv.cuda.empty_cache()


def test_streams_are_ordered_by_events() -> None:
    side, done = rv.cuda.Stream(), rv.cuda.Event()
    x = rv.Tensor(np.full((2048, 2048), 1 / 2048, np.float32)).to("cuda")
    start = rv.cuda.Event().record()
    y = x
    for _ in range(20):
        y = y @ x
    done.record()
    side.wait_event(done)
    with side:
        assert rv.cuda.current_stream().handle == side.handle
        z = y + y
        np.testing.assert_allclose(z.numpy(), 2 / 2048, rtol=1e-4)
    assert done.query() and start.elapsed_time(done) > 0
    assert rv.cuda.current_stream().handle != side.handle


def test_memory_of_two_streams_is_not_mixed_up() -> None:
    side = rv.cuda.Stream()
    for i in range(200):
        x = rv.Tensor(np.full(100_000, i, np.float32)).to("cuda")
        side.wait_stream(rv.cuda.current_stream())
        with side:
            y = x * 2.0
        del x  # its memory must not be given away before `side` has read it
        _ = rv.Tensor(np.full(100_000, -1, np.float32)).to("cuda")
        side.synchronize()
        np.testing.assert_array_equal(y.numpy(), np.full(100_000, 2 * i, np.float32))


def test_threads_may_share_a_gpu() -> None:
    failures: list[str] = []

    def work(seed: int) -> None:
        values = np.random.default_rng(seed).normal(size=(64, 64)).astype(np.float32)
        x = rv.Tensor(values).to("cuda")
        for _ in range(50):
            if not np.allclose((x + x).numpy(), 2 * values):
                failures.append(f"thread {seed}")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_bad_indices_are_found_on_the_device() -> None:
    table = rv.Tensor(np.eye(4, dtype=np.float32)).to("cuda")
    with pytest.raises(ValueError, match="index 4 at position 2"):
        rv.ops.embedding(rv.Tensor([0, 1, 4, 9]).to("cuda"), table)


def test_exchange_with_torch_without_a_copy() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    ours = rv.Tensor([[1.0, 2.0], [3.0, 4.0]]).to("cuda")
    theirs = torch.from_dlpack(ours)
    assert theirs.is_cuda and theirs.data_ptr() == ours.array.address
    theirs.mul_(2)
    torch.cuda.synchronize()
    assert ours.tolist() == [[2.0, 4.0], [6.0, 8.0]]
    back = rv.from_dlpack(torch.arange(6, dtype=torch.float32, device="cuda").reshape(2, 3))
    assert back.device == "cuda:0" and (back + 1.0).tolist() == [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    with pytest.raises(BufferError, match="C-contiguous"):
        rv.from_dlpack(torch.ones(2, 3, device="cuda").t())


def test_cuda_array_interface() -> None:
    x = rv.Tensor([[1.0, 2.0]]).to("cuda")
    interface = x.__cuda_array_interface__
    assert interface["shape"] == (1, 2) and interface["typestr"] == "<f4" and interface["version"] == 3
    assert interface["data"] == (x.array.address, False) and interface["stream"] == rv.cuda.current_stream().handle
    cupy = pytest.importorskip("cupy")
    assert cupy.asarray(x).get().tolist() == [[1.0, 2.0]]
