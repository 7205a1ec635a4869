"""The table of floors and goals names benchmarks and shapes that exist, and judges rightly."""

from __future__ import annotations

import pytest

from benchmarks import table, targets
from ranvier.bench import machine, training


@pytest.mark.parametrize("target", targets.targets(), ids=lambda t: f"{t.bench}-{'-'.join(map(str, t.shape.values()))}")
def test_targets_exist(target: targets.Target) -> None:
    bench = targets.bench_of(target)
    assert set(bench.shapes[0]) == set(target.shape)
    assert bench.bytes(**target.shape) > 0
    assert 0 < target.floor <= target.goal


def test_networks_exist() -> None:
    assert {target.network for target in targets.TRAINING} <= set(training.NETWORKS)


def test_floor_and_goal() -> None:
    assert [table.met(value, 1.0, 1.5) for value in (0.99, 1.0, 1.49, 1.5)] == ["no", "floor", "floor", "goal"]
    assert [table.met(-value, -8.0, -6.0) for value in (9, 8, 6.5, 6)] == ["no", "floor", "floor", "goal"]


def test_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    roof = machine.Ceilings(100.0, 10.0, 40.0, 1)
    target = targets.Target(
        targets.WHOLE, {"images": 1, "size": 5, "channels": 2, "filters": 3, "padding": "same"}, 1, 2
    )
    line = table.measured_op(target, roof, repeats=1, peers=["torch"])
    assert line.limit == roof.seconds(3 * 2 * 25 * 3 * 18, 3 * 4 * (25 * 2 + 25 * 3 + 54))
    assert line.work in table.text(line)
