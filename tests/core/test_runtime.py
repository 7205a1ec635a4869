"""Threads, fork, Ctrl-C, memory, environment variables and build facts."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core

SIZE = 3_000_000  # words: enough to wake every thread


def draw(key: int = 7) -> np.ndarray:
    return np.asarray(_core.random_uniform([SIZE], key, 0).numpy())


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, env=settings, capture_output=True, text=True, timeout=120)


# --- fork --------------------------------------------------------------------------------------------------


def child(queue: Any, key: int) -> None:
    rv.set_num_threads(2)  # ends the pool: the parent's threads are not there to be joined
    queue.put(float(draw(key).astype(np.float64).sum()))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_children_of_fork_compute_with_threads() -> None:
    rv.set_num_threads(3)
    expected = float(draw().astype(np.float64).sum())  # the pool is up and has run
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    workers = [context.Process(target=child, args=(queue, 7)) for _ in range(3)]
    for worker in workers:
        worker.start()
    assert [queue.get(timeout=60) for _ in workers] == [expected] * 3
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert float(draw().astype(np.float64).sum()) == expected  # and so does the parent still


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_while_other_threads_compute_and_allocate() -> None:
    """The child inherits no lock: neither of the pool nor of the allocator nor of the generators."""
    rv.set_num_threads(2)
    stop = threading.Event()

    def busy() -> None:
        generator = rv.random.default_generator()
        while not stop.is_set():
            held = [generator.uniform(450_000) for _ in range(20)]
            del held
            _core.release_cached_memory()  # holds the allocator's lock while the system takes its pages back

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(40):
            pid = os.fork()
            if pid == 0:
                values = rv.random.uniform(200000, seed=1).numpy()
                rv.random.uniform(3)
                os._exit(0 if values.shape == (200000,) else 1)
            deadline = time.monotonic() + 30
            while (status := os.waitpid(pid, os.WNOHANG)) == (0, 0):
                if time.monotonic() > deadline:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                    raise AssertionError("the child of a fork hangs")
                time.sleep(0.002)
            assert status[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# --- threads -----------------------------------------------------------------------------------------------


def test_two_threads_compute_at_once_while_a_third_changes_the_pool() -> None:
    rv.set_num_threads(2)
    expected = {key: draw(key).copy() for key in (1, 2)}
    wrong: list[int] = []

    def work(key: int) -> None:
        for _ in range(8):
            if not np.array_equal(draw(key), expected[key]):
                wrong.append(key)

    threads = [threading.Thread(target=work, args=(key,)) for key in (1, 2)]
    for thread in threads:
        thread.start()
    for count in (1, 3, 2, 4, 1, 2) * 5:
        rv.set_num_threads(count)
        assert rv.num_threads() == count
        time.sleep(0.002)
    for thread in threads:
        thread.join()
    assert wrong == []


def test_kernels_release_the_gil() -> None:
    rv.set_num_threads(1)
    ticks = [0]
    done = threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks[0] += 1
            time.sleep(0)

    thread = threading.Thread(target=tick)
    thread.start()
    time.sleep(0.05)
    before = ticks[0]
    _core.random_normal([SIZE], 1, 0)  # one call, tens of milliseconds
    during = ticks[0] - before
    done.set()
    thread.join()
    assert during > 1


@pytest.mark.parametrize("threads", [0, -1, 257])
def test_impossible_thread_counts(threads: int) -> None:
    with pytest.raises(ValueError, match="threads must be from 1 to 256"):
        rv.set_num_threads(threads)


def test_ctrl_c_ends_a_loop_of_ops_and_leaves_all_usable() -> None:
    code = """
        import os, signal, threading, time
        import ranvier as rv
        rv.set_num_threads(2)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
        threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        try:
            for _ in range(10**9):
                rv.random.normal(100000)
        except KeyboardInterrupt:
            print("interrupted", rv.random.uniform(300000, seed=1).shape)
    """
    done = run_python(code)
    assert (done.returncode, done.stdout.strip()) == (0, "interrupted (300000,)"), done.stderr


def test_exit_with_sleeping_workers_and_borrowed_memory() -> None:
    code = """
        import time
        import numpy as np
        import ranvier as rv
        rv.set_num_threads(4)
        rv.random.uniform(1000000)
        time.sleep(0.05)
        keep = rv.from_numpy(np.ones(3)), rv.from_dlpack(np.ones(3)), rv.Tensor([1.0]).__dlpack__()
        import builtins
        builtins.keep = keep  # outlives the module
    """
    done = run_python(code)
    assert (done.returncode, done.stderr) == (0, "")


# --- memory ------------------------------------------------------------------------------------------------


def test_a_loop_takes_no_memory_from_the_system_after_its_first_round() -> None:
    def step() -> None:
        x = rv.Tensor(np.ones((64, 1000), np.float32), requires_grad=True)
        rv.ops.dropout(rv.ops.softmax(x), 0.5, seed=1)
        rv.random.normal((300, 100)), rv.random.permutation(5000)

    step()
    before = rv.memory_stats()
    for _ in range(20):
        step()
    after = rv.memory_stats()
    assert after["system_allocations"] == before["system_allocations"]
    assert after["in_use"] == before["in_use"]
    assert after["allocations"] > before["allocations"]


def test_memory_is_counted_and_given_back() -> None:
    _core.release_cached_memory()
    start = rv.memory_stats()
    array = _core.Array.empty([1 << 20], "float32")
    assert rv.memory_stats()["in_use"] >= start["in_use"] + (4 << 20)
    assert rv.memory_stats()["peak_in_use"] >= rv.memory_stats()["in_use"]
    del array
    assert rv.memory_stats()["in_use"] == start["in_use"]
    assert rv.memory_stats()["reserved"] >= start["reserved"] + (4 << 20)
    _core.release_cached_memory()
    assert rv.memory_stats()["reserved"] == start["reserved"]
    _core.reset_peak_memory()
    assert rv.memory_stats()["peak_in_use"] == start["in_use"]


def test_out_of_memory_names_the_bytes_and_life_goes_on() -> None:
    for count in (2**57, 2**45):
        with pytest.raises(MemoryError, match=f"{4 * count} bytes"):
            _core.Array.empty([count], "float32")
    with pytest.raises(MemoryError, match="bytes asked for"):
        rv.random.uniform((2**50,))
    assert rv.random.uniform(10).shape == (10,)


# --- environment and build ---------------------------------------------------------------------------------

REPORT = "import ranvier as rv; print(rv.num_threads(), rv.build_info()['isa'])"


def test_environment_variables_are_honoured() -> None:
    for isa in _core._usable_isas():
        done = run_python(REPORT, RANVIER_NUM_THREADS="3", RANVIER_ISA=isa)
        assert done.stdout.split() == ["3", isa], done.stderr
    default = run_python(REPORT, RANVIER_NUM_THREADS="", RANVIER_ISA="")
    assert default.stdout.split()[1] == _core._usable_isas()[0]


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("RANVIER_NUM_THREADS", "many", "RANVIER_NUM_THREADS is 'many'; expected a whole number from 1 to 256"),
        ("RANVIER_NUM_THREADS", "0", "expected a whole number"),
        ("RANVIER_NUM_THREADS", "-2", "expected a whole number"),
        ("RANVIER_NUM_THREADS", "99999999999999999999", "expected a whole number"),
        ("RANVIER_ISA", "avx1024", "instruction set 'avx1024' is not built or not supported here; usable: "),
    ],
)
def test_wrong_environment_variables_are_refused_at_import(name: str, value: str, match: str) -> None:
    done = run_python(REPORT, **{name: value})
    assert done.returncode == 1 and "ImportError" in done.stderr and match in done.stderr


def test_build_info() -> None:
    facts = rv.build_info()
    assert facts["version"] == rv.__version__
    assert facts["isa"] in facts["isas_usable"] and set(facts["isas_usable"]) <= set(facts["isas_built"])
    assert facts["threads"] == rv.num_threads()
    with pytest.raises(ValueError, match="usable: "):
        _core._set_isa("mmx")


def test_cuda_says_why_not() -> None:
    if rv.cuda.is_available():
        pytest.skip("there is CUDA here")
    assert rv.cuda.device_count() == 0
    reasons = "no driver: |driver too old: |no device: |device too old: |no kernels for a GPU"
    assert re.search(reasons, rv.cuda.why_not() or "")
    for ask in (rv.cuda.device_name, rv.cuda.memory_stats, rv.cuda.synchronize, rv.cuda.Event, rv.cuda.Stream):
        with pytest.raises(rv.DeviceError, match=reasons):
            ask()
    with pytest.raises(rv.DeviceError, match="'cuda:0' is not available"):
        rv.set_device("cuda")


def test_objects_of_instruction_sets_have_no_weak_symbols() -> None:
    """One that the linker shares could bring AVX-512 code to a processor without it."""
    build = os.environ.get("RANVIER_BUILD_DIR", "")
    if not build:
        pytest.skip("RANVIER_BUILD_DIR is not set: no objects to look at")
    objects = sorted(Path(build).glob("**/ranvier_cpu_*.dir/**/*.o"))
    assert objects, f"no objects of ranvier_cpu_* under {build}"
    listing = subprocess.run(["nm", "-C", "-A", *map(str, objects)], capture_output=True, text=True, check=True).stdout
    weak = [line for line in listing.splitlines() if line.split(":", 1)[1][17:18] in ("W", "V", "u")]
    assert weak == []
