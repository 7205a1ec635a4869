"""Kernels from outside the tree on the simulator: written, built, tested, compared, and their faults named."""

from __future__ import annotations

import ctypes
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import ranvier as rv
from ranvier import cli, kernels, reference
from ranvier.kernels.project import Project
from ranvier.rooms import FAMILIES


@pytest.fixture(autouse=True)
def built_in_again() -> Iterator[None]:
    yield
    kernels.reset()


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return kernels.new("softmax", tmp_path / "mine", "sim")


def softmax(x: np.ndarray, device: str = "sim") -> np.ndarray:
    with rv.device(device):
        return rv.ops.softmax(rv.Tensor(x)).numpy().copy()


X = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)


def test_a_kernel_computes_on_sim_and_nowhere_else(mine: Path) -> None:
    on_cpu = softmax(X, "cpu")
    text = (mine / "kernel.cu").read_text()
    (mine / "kernel.cu").write_text(text.replace("expf(x[at] - peak) / sum", "42.0f"))
    assert kernels.use(mine) == "softmax"
    np.testing.assert_array_equal(softmax(X), np.full_like(X, 42))
    np.testing.assert_array_equal(softmax(X, "cpu"), on_cpu)
    kernels.reset()
    np.testing.assert_allclose(softmax(X), reference.softmax_forward(X, -1), rtol=1e-6)


def test_a_model_trains_with_it_and_its_lines_are_traced(mine: Path) -> None:
    kernels.use(mine)
    with rv.device("sim"), rv.sim.trace() as seen:
        model = rv.Sequential([rv.layers.Dense(40, activation="softmax")])
        model.compile("sgd", "mse")
        model.fit(X, X, epochs=1, verbose=0)
    lines = [line for line in seen.lines if line.kernel == "my_softmax"]
    assert [(line.space, line.access) for line in lines] == [("global", "read")] * 3 + [("global", "write")]
    assert all(re.fullmatch(r"kernel\.cu:\d+", line.place) for line in lines)


FAULTS = {  # what is planted, and what the report must name
    "past the end": (
        ("c < rows.columns; ++c) sum", "c <= rows.columns; ++c) sum"),
        r"my_softmax: out of bounds: thread \(4,0,0\) of block \(0,0,0\) reads 4 bytes at kernel\.cu:\d+, "
        r"800 bytes into an array of 800",
    ),
    "race": (
        ("y[at] = ", "y[c] = "),
        r"my_softmax: race in global memory, byte \d+ of an array of 800: thread .* writes it at kernel\.cu:(\d+), "
        r"thread .* writes it at kernel\.cu:\1",
    ),
    "divergent barrier": (
        ("const int64_t start", "__syncthreads();\n  const int64_t start"),
        r"exited thread: thread .* waits at the __syncthreads\(\) of kernel\.cu:\d+ for thread \(5,0,0\)",
    ),
    "uninitialised": (
        ("peak = fmaxf(peak, x[start", "peak = fmaxf(peak, y[start"),
        r"uninitialised global memory, byte 0 of an array of 800: thread \(0,0,0\) .* reads at kernel\.cu:\d+",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named(fault: str, mine: Path) -> None:
    (right, wrong), report = FAULTS[fault]
    source = mine / "kernel.cu"
    assert right in source.read_text()
    source.write_text(source.read_text().replace(right, wrong))
    kernels.use(mine)
    with pytest.raises(rv.DeviceError, match=report):
        softmax(X)


def test_the_command_runs_the_ops_own_spec(mine: Path, capfd: pytest.CaptureFixture[str]) -> None:
    only = ["--", "-k", "test_forward and float32 and not log_softmax"]
    assert cli.main(["kernel", "test", str(mine), *only]) == 0
    source = mine / "kernel.cu"
    source.write_text(source.read_text().replace("expf(x[at] - peak) / sum", "expf(x[at] - peak) / (sum + 1e-3f)"))
    assert cli.main(["kernel", "test", str(mine), *only]) == 1
    assert "outside the bound" in capfd.readouterr().out


def test_the_command_counts_beside_ours(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["kernel", "bench", str(mine), "softmax"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^  ranvier +1 +4,096 +256 +512 ", printed, re.M)  # 128 rows of 10: a warp each, 2 sectors
    assert re.search(r"^  mine +1 +256 +160 +5,120 ", printed, re.M)  # 4 warps, 40 requests each, 32 sectors
    assert re.search(r"my_softmax +kernel\.cu:\d+ +global read .* 32\.00 sectors", printed)


@pytest.mark.parametrize("family", [f for f in FAMILIES if f not in ("random", "softmax")])
def test_new_projects_name_their_contract(family: str, tmp_path: Path) -> None:
    folder = kernels.new(family, tmp_path / "mine", "sim")
    assert Project(folder).family == family
    assert "cuda/launch.h" in (folder / "kernel.cu").read_text()
    with pytest.raises(FileExistsError, match=r"kernel\.cu is there already"):
        kernels.new(family, folder)


def test_a_generic_project_builds(tmp_path: Path) -> None:
    assert kernels.use(kernels.new("reduce", tmp_path / "mine", "cuda")) == "reduce"


def test_what_is_wrong_is_said(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"kernel\.cu does not compute on device 'cpu'"):
        kernels.build(mine, "cpu")
    with pytest.raises(ValueError, match=r"kernel\.cpp does not compute on device 'sim'"):
        kernels.build(kernels.new("softmax", tmp_path / "host"), "sim")
    with pytest.raises(ValueError, match="device 'tpu' is unknown; there are cpu, sim, cuda"):
        kernels.new("softmax", tmp_path / "other", "tpu")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match=r"no nvcc found.*device 'sim' needs neither"):
        kernels.build(mine, "cuda")


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc")
def test_the_same_source_compiles_for_a_gpu(mine: Path) -> None:
    assert kernels.build(mine, "cuda") != kernels.build(mine, "sim")


@pytest.mark.skipif(
    shutil.which("nvcc") is None or not rv._core._cuda_built(), reason="no nvcc, or a build without CUDA"
)
def test_a_library_for_a_gpu_loads_and_leaves_the_simulator_alone(mine: Path) -> None:
    """Loading it resolves all that a kernel calls: launches, their failures, workspaces. Nothing of it runs here."""
    source = mine / "kernel.cu"
    source.write_text(source.read_text().replace("expf(x[at] - peak) / sum", "42.0f"))
    assert kernels.use(mine, device="cuda") == "softmax"
    ((family, library),) = kernels.used()
    assert family == "softmax"
    assert (ctypes.c_char * 5).in_dll(ctypes.CDLL(library), "ranvier_kernel_device").value == b"cuda"
    np.testing.assert_allclose(softmax(X), reference.softmax_forward(X, -1), rtol=1e-6)
