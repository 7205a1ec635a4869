"""``ranvier bench --variants`` climbs each ladder; ``ranvier bench train`` trains the same network everywhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ranvier import _core, cli
from ranvier.bench import ladder, ladder_sim, training

SMALL = {
    "gemm": "m=5,n=6,k=7",
    "conv2d": "images=2,size=5,channels=3,filters=4",
    "softmax": "rows=3,columns=20",
    "norm": "rows=9,channels=5",
}


@pytest.mark.parametrize("op", SMALL)
def test_a_climb_has_every_step_and_what_stands_on_top(op: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    data, picture = tmp_path / "climb.json", tmp_path / "climb.png"
    arguments = ["bench", op, "--variants", "--shapes", SMALL[op], "--repeats", "1", "--peers", "all"]
    assert cli.main([*arguments, "--json", str(data), "--plot", str(picture)]) == 0
    rows = json.loads(data.read_text())["rows"]
    steps = _core._ladder_steps()[ladder.FAMILIES.get(op, op)]
    assert [row["name"][2:] for row in rows[: len(steps)]] == steps
    assert rows[len(steps)]["name"] == "production kernel"
    assert rows[1]["gain"] == rows[0]["seconds"] / rows[1]["seconds"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_an_op_without_a_ladder_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "embedding", "--variants"]) == 1
    assert "embedding has no ladder; there are gemm, conv2d" in capsys.readouterr().err


ON_SIM = {
    "gemm": "m=33,n=40,k=9",
    "reduce": "count=700",
    "softmax": "rows=3,columns=40",
    "transpose": "rows=33,columns=64",
}


@pytest.mark.parametrize("op", ON_SIM)
def test_a_climb_on_the_simulator_counts_every_step(
    op: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    data, picture = tmp_path / "climb.json", tmp_path / "climb.png"
    arguments = ["bench", op, "--device", "sim", "--variants", "--shapes", ON_SIM[op]]
    assert cli.main([*arguments, "--json", str(data), "--plot", str(picture)]) == 0
    name = ladder_sim.FAMILIES.get(op, op)
    steps = _core._ladder_steps("sim")[name]
    rows = json.loads(data.read_text())["rows"]
    assert [row["name"] for row in rows] == [f"{i + 1} {step}" for i, step in enumerate(steps)] + ["production kernel"]
    assert all(row["sectors"] >= row["least"] and 0 < row["lanes"] <= 32 for row in rows)
    assert f"the {name} ladder on sim" in capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_what_the_simulator_cannot_measure_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "gemm", "--device", "sim"]) == 1
    assert "knows no time; it climbs ladders: add --variants" in capsys.readouterr().err
    assert cli.main(["bench", "conv2d", "--device", "sim", "--variants"]) == 1
    assert "conv2d has no ladder on sim; there are gemm, sum" in capsys.readouterr().err


@pytest.mark.parametrize("name", training.NETWORKS)
def test_networks_train_here_and_in_the_peers(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(training.NETWORKS, name, replace(training.NETWORKS[name], steps=1, batch=2))
    assert cli.main(["bench", "train", name, "--repeats", "1"]) == 0
    assert name in capsys.readouterr().out


@pytest.mark.parametrize(("name", "parameters"), [("S11", 407_050), ("S21", 93_322), ("S24", 3_453_121), ("tiny", 43)])
def test_the_same_network_is_built_everywhere(name: str, parameters: int) -> None:
    pytest.importorskip("torch")
    from ranvier.bench.training_torch import build

    network = training.NETWORKS[name]
    assert sum(p.numel() for p in build(network).parameters()) == parameters
    assert training.model_of(network).count_params() == parameters


def test_an_unknown_network_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "train", "S99"]) == 1
    assert "no network is called S99" in capsys.readouterr().err
