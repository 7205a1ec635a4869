"""Kernels from outside the tree: projects are written, built, used and refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import ranvier as rv
from ranvier import cli, kernels
from ranvier.rooms import FAMILIES

EXAMPLES = Path(__file__).parents[1] / "examples" / "own_kernels"
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def built_in_again() -> Iterator[None]:
    yield
    kernels.reset()


def project(folder: Path, body: str, family: str = "gemm", kind: str = "GemmKernels") -> Path:
    folder.mkdir()
    (folder / "kernel.cpp").write_text(
        f'#include "core/own_kernel.h"\n#include "ops/{family}.h"\nRANVIER_KERNEL({family}, '
        f"ranvier::PerType<ranvier::{kind}>) {{ {body} }}\n"
    )
    return folder


ZEROS = """kernels.f32.gemm = [](const ranvier::GemmArguments<float>& p) {
  for (int64_t i = 0; i < p.m * p.n; ++i) p.c[i] = 42;
};"""


def test_a_kernel_takes_the_place_of_ours_and_gives_it_back(tmp_path: Path) -> None:
    a = rv.Tensor(RNG.normal(size=(3, 4)).astype(np.float32))
    b = rv.Tensor(RNG.normal(size=(4, 5)).astype(np.float32))
    right = rv.ops.matmul(a, b).numpy().copy()
    assert kernels.use(project(tmp_path / "answer", ZEROS)) == "gemm"
    assert [family for family, _ in kernels.used()] == ["gemm"]
    np.testing.assert_array_equal(rv.ops.matmul(a, b).numpy(), np.full((3, 5), 42, np.float32))
    kernels.reset()
    np.testing.assert_array_equal(rv.ops.matmul(a, b).numpy(), right)


def test_a_replayed_step_calls_the_kernel_of_the_moment(tmp_path: Path) -> None:
    model = rv.Sequential([rv.Input((4,)), rv.layers.Dense(3, use_bias=False)])
    x = RNG.normal(size=(8, 4)).astype(np.float32)
    model.compile("sgd", "mse")
    for _ in range(3):
        before = model.predict_on_batch(x).copy()
    kernels.use(project(tmp_path / "answer", ZEROS))
    np.testing.assert_array_equal(model.predict_on_batch(x), np.full((8, 3), 42, np.float32))
    kernels.reset()
    np.testing.assert_array_equal(model.predict_on_batch(x), before)


@pytest.mark.parametrize("name", ["gemm", "depthwise"])
def test_examples_agree_with_ours(name: str) -> None:
    x = rv.Tensor(RNG.integers(-4, 5, (2, 11, 9, 40)).astype(np.float32))
    depthwise = rv.Tensor(RNG.integers(-4, 5, (3, 2, 1, 40)).astype(np.float32))
    a = rv.Tensor(RNG.integers(-4, 5, (37, 300)).astype(np.float32))
    b = rv.Tensor(RNG.integers(-4, 5, (45, 300)).astype(np.float32))

    def results() -> list[np.ndarray]:
        convolved = rv.ops.conv2d(x, depthwise, strides=2, padding="same", groups=40)
        return [t.numpy().copy() for t in (convolved, rv.ops.matmul(a, b, transpose_x2=True))]

    ours = results()
    kernels.use(EXAMPLES / name)
    for own, right in zip(results(), ours, strict=True):
        np.testing.assert_array_equal(own, right)


@pytest.mark.parametrize("family", [f for f in FAMILIES if f != "random"])
def test_new_projects_build(family: str, tmp_path: Path) -> None:
    folder = kernels.new(family, tmp_path / "mine")
    assert kernels.use(folder) == family
    with pytest.raises(FileExistsError):
        kernels.new(family, folder)


def test_the_command_runs_the_ops_own_spec(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    right, wrong = str(tmp_path / "right"), str(project(tmp_path / "wrong", ZEROS))
    assert cli.main(["kernel", "new", "gemm", right]) == 0
    assert cli.main(["kernel", "test", right, "--", "-k", "test_forward and matmul"]) == 0
    assert cli.main(["kernel", "test", wrong, "--", "-k", "test_forward and matmul", "-x"]) == 1
    assert "outside the bound" in capfd.readouterr().out


def test_what_is_wrong_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="undefined_function"):
        kernels.use(project(tmp_path / "broken", "undefined_function();"))
    with pytest.raises(ValueError, match="cannot load"):
        kernels.use(tmp_path / "nothing.so")
    with pytest.raises(FileNotFoundError, match="ranvier kernel new"):
        kernels.build(tmp_path)
    lost = project(tmp_path / "lost", "(void)kernels;") / "kernel.cpp"
    lost.write_text(lost.read_text().replace("RANVIER_KERNEL(gemm", "RANVIER_KERNEL(nowhere"))
    with pytest.raises(ValueError, match="no family 'nowhere'"):
        kernels.use(lost.parent)
    assert cli.main(["kernel", "new", "nonsense", str(tmp_path / "x")]) == 1
    assert "nonsense" in capsys.readouterr().err
