"""``ranvier bench``: what it measures, how it reads its arguments, what it prints, saves and draws."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import ranvier as rv
from ranvier import cli, rooms
from ranvier.bench import OpBench, Row, dtype, families, machine, measuring, report, run_bench, selected
from ranvier.bench import command as bench

CEILINGS = machine.Ceilings(gflops=100.0, gbytes=10.0, gbytes_cached=40.0, threads=2)


def row(ours: float, torch: float, **more: object) -> Row:
    facts = {"flops": 1e6, "bytes": 1e3, "threads": 2, **more}
    return Row("matmul", {"m": 2, "t": ""}, {"ranvier": ours, "torch": torch}, {"ranvier": 0, "torch": 0}, **facts)  # type: ignore[arg-type]


def test_every_family_and_every_op_is_measured() -> None:
    assert families() == sorted(rooms.FAMILIES)
    for op, family in rooms.public_ops().items():
        found = {f for f, _ in selected([op])}
        assert found == {op if op in families() else family}, op  # norm is an op of reduce, and a family


def test_an_op_is_chosen_by_name_and_a_family_wholly() -> None:
    assert [b.name for _, b in selected(["relu"])] == ["relu", "relu_gradient"]
    assert {f for f, _ in selected(["norm"])} == {"norm"}
    assert [b.name for _, b in selected(["exp"])] == ["exp"]
    assert len(selected([])) == len({b.name for _, b in selected([])}) > 50
    with pytest.raises(ValueError, match="no op or family is called 'conv4d'; there are activation"):
        selected(["conv4d"])


def test_shapes_are_read_and_completed() -> None:
    matmul = next(b for _, b in selected(["matmul"]))
    asked = bench.shapes_of("m=3, n=5,k=7; m=2,t=a;")
    assert asked == [{"m": 3, "n": 5, "k": 7}, {"m": 2, "t": "a"}]
    assert bench.fitting(matmul.shapes[0], asked)[0] == {"m": 3, "n": 5, "k": 7, "t": ""}
    assert bench.fitting(matmul.shapes[0], [{"rows": 3}]) == []
    assert bench.shapes_of("m=3 n=5  k=7") == asked[:1]
    with pytest.raises(ValueError, match="expected name=value pairs"):
        bench.shapes_of("m=3,5")
    with pytest.raises(ValueError, match=r"m is like m=\d+ here, got m=3x"):
        bench.fitting(matmul.shapes[0], bench.shapes_of("m=3x"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threads", "0"], "--threads: expected positive"),
        (["--peers", "theano"], "no peer is called theano"),
        (["--dtype", "int8"], "--dtype: expected float32"),
        (["--repeats", "0"], "--repeats: expected a positive"),
        (["--shapes", "width=3"], "nothing has these names; as in relu: n="),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "relu", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_a_type_is_measured_only_where_the_benchmark_makes_it() -> None:
    def prepare(n: int) -> dict[str, bench.Any]:
        x = np.ones(n, dtype())
        return {"ranvier": lambda: x + x}

    able = OpBench("able", ({"n": 3},), prepare, lambda n: 0, lambda n: 4 * n)
    unable = OpBench("unable", ({"n": 3},), lambda n: {"ranvier": lambda: None}, lambda n: 0, lambda n: 4 * n)
    with measuring("float64"):
        found = list(run_bench(able, repeats=1))
        assert list(run_bench(unable, repeats=1)) == []
    assert (found[0].dtype, found[0].bytes) == ("float64", 24)
    assert dtype() == np.float32


def test_losses_are_told_like_wins() -> None:
    rows = [row(1.0, 2.0), row(2.0, 1.0, dtype="float64"), row(1.0, 1.01)]
    text = report.verdict(rows)
    assert "1 ahead, 1 within 5%, 1 behind; geometric mean of the ratios 1.00" in text
    assert "behind: matmul m=2 (2 threads, float64): 0.50" in text
    assert "torch / ours 0.50" in report.line(rows[1], CEILINGS)


def test_ceilings_bound_a_time() -> None:
    assert CEILINGS.seconds(flops=1e11, nbytes=1e9) == 1.0
    assert CEILINGS.seconds(flops=1e11, nbytes=1e9, dtype="float64") == 2.0
    assert CEILINGS.seconds(flops=1.0, nbytes=2e10) == 2.0


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.234e-6, "1.23 us"), (0.0123, "12.3 ms"), (2e-8, "0.020 us"), (99, "99.0 s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert report.duration(seconds) == text


def test_one_run_prints_saves_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    before = rv.num_threads()
    data, picture = tmp_path / "out.json", tmp_path / "out.png"
    arguments = ["bench", "dense", "--shapes", "rows=3,inputs=5,outputs=2", "--repeats", "2", "--threads", "1,2"]
    try:
        assert cli.main([*arguments, "--json", str(data), "--plot", str(picture), "--dtype", "float32,float64"]) == 0
    finally:
        rv.set_num_threads(before)
    printed = capsys.readouterr().out
    assert "FMA loop" in printed
    assert "numpy / ours" in printed or "torch / ours" in printed
    saved = json.loads(data.read_text())
    assert saved["command"].startswith("ranvier bench dense")
    assert [(r["threads"], r["dtype"]) for r in saved["rows"] if r["bench"] == "dense"] == [
        (threads, name) for name in ("float32", "float64") for threads in (1, 2)
    ]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_what_must_be_set_before_loading_goes_to_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*machine.KEPT_PAGES, *machine.LIMITED["avx2"]):
        monkeypatch.delenv(name, raising=False)
    asked = cli.parser().parse_args(["bench", "relu", "--isa", "avx2", "--malloc", "keep"])
    assert set(bench.environment(asked)) == {*machine.KEPT_PAGES, *machine.LIMITED["avx2"]}
    monkeypatch.setattr(os, "environ", {**os.environ, **bench.environment(asked)})
    assert bench.environment(asked) == {}
