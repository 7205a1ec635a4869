"""Every planted fault is found under every schedule, and its twin without the fault passes."""

from __future__ import annotations

import ctypes
import re

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core
from tests.sim.build import address, library

SCHEDULES = ("forward", "reverse", "random")
LINE = r"faults\.cu:\d+"
# What the report must say, whatever the order in which threads came.
FAULTS = {
    "reverse_tile": rf"(race in|uninitialised) shared memory, byte \d+ of tile .*{LINE}",
    "divergent_barrier": rf"exited thread: .* waits at the __syncthreads\(\) of {LINE} for thread \(32,0,0\)",
    "two_barriers": rf"divergent barrier: .*__syncthreads\(\) of {LINE}.*at that of {LINE}",
    "early_exit": rf"exited thread: .* at the __syncthreads\(\) of {LINE} for thread \(7,0,0\).*which has returned",
    "bad_mask": rf"wrong mask: __shfl_xor_sync at {LINE} .*0x0000ffff",
    "exited_lane": rf"exited thread.*{LINE}|{LINE}.*exited thread",
    "missing_syncwarp": rf"(race in|uninitialised) shared memory, byte \d+ of tile .*{LINE}",
    "uninitialised": rf"uninitialised shared memory, byte 36 of tile \(256 bytes\): thread \(9,0,0\) .* at {LINE}",
    "past_the_end": rf"out of bounds: thread \(0,0,0\) of block \(1,0,0\) writes 4 bytes at {LINE}, .* an array of 256",
    "shared_past_the_end": rf"out of bounds: thread \(63,0,0\) .*{LINE}, 256 bytes into dynamic shared memory of 256",
    "blocks_collide": rf"race in global memory, byte \d+ of an array of 256: .* of another block writes it at {LINE}",
    "unwritten": rf"uninitialised global memory, byte \d+ of an array of 256: .*{LINE}",
    "sum_without_atomics": rf"race in global memory, byte 0 of an array of 256: .*{LINE}.*{LINE}",
    "neighbouring_bytes": rf"race in global memory, byte \d+ of an array of 256: .*{LINE}",
}


def report_of(name: str, fault: bool) -> str:
    x = _core.Array.from_numpy(np.arange(64, dtype=np.float32), True, "sim")
    y = _core.Array.zeros([64], "float32", "sim")
    scratch = _core.Array.empty([64], "float32", "sim")
    report = ctypes.create_string_buffer(2048)
    library("faults").run_fault(name.encode(), ctypes.c_bool(fault), *(address(a) for a in (x, y, scratch)), 64, report)
    return report.value.decode()


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("name", FAULTS)
def test_planted_fault_is_found(name: str, schedule: str) -> None:
    with rv.sim.options(schedule=schedule, seed=11):
        assert report_of(name, fault=False) == ""
        report = report_of(name, fault=True)
    assert re.search(FAULTS[name], report), report
    assert report.startswith(f"{name}: ")
    assert f"schedule {schedule}" in report


def test_a_seed_repeats_a_schedule() -> None:
    def first_pair(seed: int) -> str:
        with rv.sim.options(schedule="random", seed=seed):
            return report_of("sum_without_atomics", fault=True)

    assert first_pair(3) == first_pair(3)
    assert len({first_pair(seed) for seed in range(8)}) > 1


def test_without_checks_only_deadlocks_are_found() -> None:
    with rv.sim.options(check=False):
        assert report_of("reverse_tile", fault=True) == ""
        assert "exited thread" in report_of("early_exit", fault=True)


def test_after_a_fault_the_simulator_goes_on() -> None:
    assert report_of("past_the_end", fault=True)
    assert report_of("past_the_end", fault=False) == ""


def test_unknown_schedule() -> None:
    with (
        pytest.raises(ValueError, match="'forward', 'reverse' or 'random' but is 'sideways'"),
        rv.sim.options("sideways"),
    ):
        pass
