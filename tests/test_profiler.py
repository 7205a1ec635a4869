"""The profiler: every kernel of a step is seen, counted for its layer, and nothing stays behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import _core, counts
from ranvier.bench.machine import Ceilings
from ranvier.models.replay import Replay

PEAKS = Ceilings(gflops=100.0, gbytes=20.0)


def convnet(**options: Any) -> Any:
    la = rv.layers
    layers = [la.Conv2D(4, 3, activation="relu", name="conv"), la.BatchNormalization(name="norm"), la.Flatten()]
    model = rv.Sequential([rv.Input((8, 8, 2)), *layers, la.Dense(3, activation="softmax", name="out")])
    model.compile("adam", "sparse_categorical_crossentropy", **options)
    return model


def data(rows: int = 16) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.standard_normal((rows, 8, 8, 2)).astype(np.float32), random.integers(0, 3, rows)


def kernels() -> dict[str, Any]:
    found = {name: getattr(_core, name) for name in dir(_core) if counts.is_kernel(name)}
    return {**found, "call": rv.Layer.__call__, "run": Replay.run}


def test_layers_flops_and_bytes() -> None:
    model = convnet()
    x, y = data()
    with rv.profiler(PEAKS) as profile:
        model.fit(x, y, batch_size=16, epochs=1, verbose=0)
    by_op = {(e.layer, e.op): e for e in profile.events}
    forward = by_op["conv", "conv2d_forward"]
    assert forward.flops == 2 * 16 * 6 * 6 * 4 * (3 * 3 * 2) and forward.phase == "forward"
    assert forward.bytes >= 4 * (x.size + 3 * 3 * 2 * 4 + 16 * 6 * 6 * 4)
    assert by_op["conv", "conv2d_kernel_gradient"].flops == forward.flops
    assert by_op["conv", "conv2d_kernel_gradient"].phase == "backward"
    assert by_op["out", "dense_forward"].flops == 2 * 16 * 144 * 3
    assert by_op["out", "dense_backward"].flops == 2 * 2 * 16 * 144 * 3
    assert ("norm", "batch_norm_backward") in by_op and ("(no layer)", "adam_step") in by_op
    row = next(r for r in profile.rows("layer") if r.name == "conv")
    assert row.seconds > 0 and row.fraction == pytest.approx(row.limit / row.seconds)
    assert sum(r.seconds for r in profile.rows("layer, op")) == pytest.approx(sum(e.seconds for e in profile.events))


def test_every_kernel_of_a_step_is_seen() -> None:
    """What a recording of the same step calls, but for checks and counters."""
    x, y = data()
    model = convnet(jit_compile=True)
    model.fit(x, y, batch_size=16, epochs=3, verbose=0)
    recording = next(e.recording for e in model._replay.entries.values() if e.recording is not None)
    calls = [name for name in recording.calls if name not in ("check_classes", "increment", "accumulate")]
    recorded = [name for name, before in zip(calls, ["", *calls], strict=False) if name != before]  # sums in two parts
    with rv.profiler(PEAKS) as profile:
        model.train_on_batch(x, y)
    seen = [e.op for e in profile.events]
    assert len(seen) == len(recorded)
    for name in recorded:
        first = name.split()[0]
        assert any(op.startswith(first) for op in seen), name


def test_products_of_other_layers() -> None:
    x = np.ones((2, 5, 3), np.float32)
    with rv.profiler(PEAKS) as profile:
        rv.layers.LSTM(4)(x)
        rv.ops.matmul(rv.Tensor(x), rv.Tensor(np.ones((2, 3, 7), np.float32)))
        rv.layers.Conv2DTranspose(6, 3)(np.ones((2, 4, 4, 5), np.float32))
    flops = {e.op: e.flops for e in profile.events}
    assert flops["lstm_forward"] == 2 * 2 * 5 * (3 * 16 + 4 * 16)
    assert flops["matmul_forward"] == 2 * 2 * 5 * 7 * 3
    assert flops["conv2d_transpose_forward"] == 2 * (2 * 4 * 4 * 5) * 9 * 6


def test_nothing_stays_behind() -> None:
    before = kernels()
    model = convnet()
    x, y = data()
    with pytest.raises(KeyError), rv.profiler(PEAKS) as profile:
        with pytest.raises(RuntimeError, match="another one is active"):
            rv.profiler().__enter__()
        model(x)
        raise KeyError
    assert kernels() == before
    functions = [f for f in rv.autograd.Function.__subclasses__() if "forward" in vars(f)]
    assert functions and all(f.forward.__name__ == "forward" for f in functions)
    count = len(profile.events)
    model.fit(x, y, epochs=3, verbose=0)
    assert len(profile.events) == count


def test_the_same_results_inside() -> None:
    x, y = data()
    results = []
    for inside in (False, True):
        rv.utils.set_random_seed(1)
        model = convnet()
        if inside:
            with rv.profiler(PEAKS):
                model.fit(x, y, batch_size=4, epochs=2, verbose=0)
        else:
            model.fit(x, y, batch_size=4, epochs=2, verbose=0)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_table_and_trace(tmp_path: Path) -> None:
    model = convnet()
    with rv.profiler(PEAKS) as profile:
        model(data()[0])
    lines = profile.table("layer").splitlines()
    assert lines[0].split() == ["layer", "calls", "ms", "%", "GFLOP/s", "GB/s", "of", "limit"]
    assert {line.split()[0] for line in lines[1:-1]} == {"conv", "norm", "out"}
    assert "... and 2 more" in profile.table("layer", limit=1)
    with pytest.raises(ValueError, match="by must be one of"):
        profile.rows("name")
    profile.save(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert {e["ph"] for e in events} == {"X"} and {e["cat"] for e in events} == {"layer", "kernel"}
    conv = next(e for e in events if e["name"] == "conv")
    inside = next(e for e in events if e["name"] == "conv2d_forward")
    assert conv["ts"] <= inside["ts"] and inside["ts"] + inside["dur"] <= conv["ts"] + conv["dur"]
    assert inside["args"]["layer"] == "conv" and inside["tid"] == conv["tid"]
