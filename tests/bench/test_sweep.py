"""Random shapes: what is drawn, what counts as lost, what is printed and saved."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ranvier import cli
from ranvier.bench import OpBench, selected, sweep


def bench(**more: object) -> OpBench:
    facts = {"prepare": lambda n, axis: {}, "flops": lambda n, axis: 0, "bytes": lambda n, axis: 4 * n, **more}
    return OpBench("made up", ({"n": 99, "axis": 0}, {"n": 7, "axis": 1}), **facts)  # type: ignore[arg-type]


def test_shapes_are_odd_repeat_with_the_seed_and_keep_their_axis() -> None:
    def shapes(seed: int) -> list[dict[str, int]]:
        rng = np.random.default_rng(seed)
        return [sweep.drawn(bench(), rng) for _ in range(200)]

    assert shapes(1) == shapes(1) != shapes(2)
    assert all(s["n"] % 2 == 1 and 1 <= s["n"] <= 99 for s in shapes(3))
    assert {s["axis"] for s in shapes(3)} == {0, 1}
    assert min(s["n"] for s in shapes(3)) == 1


def test_a_shape_of_its_own_and_the_limits_of_size() -> None:
    assert sweep.drawn(bench(draw=lambda rng: {"n": 5, "axis": 2}), np.random.default_rng(0)) == {"n": 5, "axis": 2}
    with pytest.raises(ValueError, match="made up: none of 1000 random shapes is small enough"):
        sweep.drawn(bench(bytes=lambda n, axis: 1e12), np.random.default_rng(0))


@pytest.mark.parametrize(("name", "op"), [(b.name, b) for _, b in selected([])])
def test_every_benchmark_can_prepare_what_is_drawn(name: str, op: OpBench) -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):  # the flops and bytes of all, so that no draw is malformed
        shape = sweep.drawn(op, rng)
    op.prepare(**shape)["ranvier"]()


@pytest.mark.parametrize(
    ("slowdowns", "ratios", "lost"),
    [
        ((0.5,), 1, False),  # clear at the first short look
        ((0.9, 1.0), 1, False),
        ((1.0, 2.0, 2.0, 1.0), 3, False),
        ((2.0, 2.0, 1.0), 2, False),
        ((0.9, 2.0, 2.0, 2.0), 3, True),
    ],
)
def test_a_shape_is_lost_when_it_is_behind_three_times(
    slowdowns: tuple[float, ...], ratios: int, lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(slowdowns)

    def timed(contenders: dict[str, object], repeats: int, budget: float) -> dict[str, list[float]]:
        return {"ranvier": [next(left)] * repeats, "torch": [1.0] * repeats}

    monkeypatch.setattr(sweep, "time_interleaved", timed)
    slow = bench(prepare=lambda n, axis: {"ranvier": lambda: None, "torch": lambda: None})
    found = sweep.measured(slow, {"n": 1, "axis": 0}, ["torch"])
    assert found is not None
    assert (len(found.ratios), found.lost) == (ratios, lost)


def test_hopeless_peers_are_left_out() -> None:
    thunks = {"ranvier": lambda: None, "numpy": lambda: sum(range(300_000)), "torch": lambda: None}
    assert set(sweep.worthy(thunks)) == {"ranvier", "torch"}


def test_the_command_prints_and_saves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sweep.json"
    assert cli.main(["bench", "add", "--sweep", "2", "--peers", "numpy", "--json", str(file)]) == 0
    assert "\n2 shapes, " in capsys.readouterr().out
    assert [r["bench"] for r in json.loads(file.read_text())["rows"]] == ["add", "add"]
    assert cli.main(["bench", "add", "--sweep", "0"]) == 1
    assert "--sweep: expected a positive number" in capsys.readouterr().err
    assert cli.main(["bench", "add", "--sweep", "1", "--peers", "none"]) == 1
