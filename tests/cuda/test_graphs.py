"""Steps captured into CUDA graphs, in 32 and 16 bits; own kernels; strided memory of other libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from tests.models import test_mixed_precision as mixed


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("task", mixed.TASKS)
def test_captured_steps_are_eager_ones(task: str, policy: str) -> None:
    captured, losses = mixed.trained(task, policy, "cuda")
    eager, same = mixed.trained(task, policy, "cuda", run_eagerly=True)
    rv.config.clear_session()
    assert any("in CUDA graphs" in text for text in captured.replay_info().values()), captured.replay_info()
    assert losses == same
    for a, b in zip(captured.variables, eager.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_graphs_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANVIER_CUDA_GRAPHS", "0")
    model, _ = mixed.trained("lstm", "float32", "cuda")
    assert any("no CUDA graphs: RANVIER_CUDA_GRAPHS=0" in text for text in model.replay_info().values())


@pytest.mark.parametrize("name", mixed.OPTIMIZERS)
def test_an_overflow_leaves_the_step_out(name: str) -> None:
    mixed.test_an_overflow_leaves_the_step_out(name, "cuda")
    rv.config.clear_session()


def test_a_kernel_from_outside_the_tree(tmp_path: Path) -> None:
    folder = rv.kernels.new("softmax", tmp_path / "mine", "cuda")
    source = folder / "kernel.cu"
    source.write_text(source.read_text().replace("expf(x[at] - peak) / sum", "42.0f"))
    try:
        rv.kernels.use(folder, device="cuda")
        x: Any = rv.Tensor(np.ones((3, 5), np.float32), device="cuda")
        assert (rv.ops.softmax(x).numpy() == 42).all()
    finally:
        rv.kernels.reset()


def test_strided_memory_of_another_library_is_copied() -> None:
    torch = pytest.importorskip("torch")
    x = torch.arange(24.0, device="cuda").reshape(2, 3, 4)
    for view in (x.transpose(0, 2), x[:, ::2], x[..., 1], x.expand(5, 2, 3, 4)):
        np.testing.assert_array_equal(rv.from_dlpack(view).numpy(), view.cpu().numpy())
