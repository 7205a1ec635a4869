"""The host side of CUDA, compiled against CUDA's headers and a run-time that needs no GPU (cuda_runtime/)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "csrc"


def headers() -> Path | None:
    """The folder of cuda_runtime_api.h, if CUDA is installed."""
    nvcc = shutil.which("nvcc")
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    homes += [str(Path(nvcc).resolve().parents[1])] if nvcc else []
    folders = [Path(home) / "include" for home in homes if home]
    return next((f for f in folders if (f / "cuda_runtime_api.h").exists()), None)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    include, compiler = headers(), shutil.which("g++")
    if include is None or compiler is None or not CSRC.exists():
        pytest.skip("needs CUDA's headers, g++ and the sources")
    if os.environ.get("LD_PRELOAD"):
        pytest.skip("a program of its own")
    built = tmp_path_factory.mktemp("cuda") / "runtime"
    sources = [*sorted((CSRC / "cuda/runtime").glob("*.cpp")), *sorted((HERE / "cuda_runtime").glob("*.cpp"))]
    sources += [CSRC / "core" / name for name in ("block_cache.cpp", "device.cpp", "live.cpp")]
    flags = ["-std=c++17", "-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-pthread"]
    flags += [f"-I{CSRC}", f"-isystem{include}", '-DRANVIER_CUDA_ARCHS="80"']
    subprocess.run([compiler, *flags, *map(str, sources), "-o", str(built)], check=True)
    return built


def output(program: Path, **environment: str) -> str:
    settings = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", **environment}
    done = subprocess.run([str(program)], capture_output=True, text=True, env=settings, timeout=100)
    return (done.stdout + done.stderr).strip()


def test_memory_copies_streams_and_failures(program: Path) -> None:
    assert output(program) == "ok"


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"FAKE_DRIVER": "0"}, "no driver: "),
        ({"FAKE_DRIVER": "12080"}, "driver too old: it speaks CUDA 12.8, this build needs 13.0 (driver 580"),
        ({"FAKE_DEVICES": "0"}, "no device: "),
        ({"FAKE_MAJOR": "7"}, "device too old: the GPU has compute capability 7.0, this build has kernels for 80"),
    ],
)
def test_it_says_why_there_is_no_gpu(program: Path, setting: dict[str, str], reason: str) -> None:
    assert output(program, **setting).startswith(reason)
