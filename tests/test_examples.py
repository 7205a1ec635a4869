"""The examples run, quickly, as a user would start them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str, folder: Path, *arguments: str) -> str:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_own_training_loop_learns_the_spirals(tmp_path: Path) -> None:
    accuracies = [float(a) for a in re.findall(r"accuracy ([\d.]+)", run("own_training_loop.py", tmp_path))]
    assert len(accuracies) == 5
    assert accuracies[-1] > 0.98


@pytest.mark.skipif(not os.environ.get("RANVIER_DATA"), reason="RANVIER_DATA is not set: no MNIST")
def test_mnist_convnet_trains_and_saves(tmp_path: Path) -> None:
    printed = run("mnist_convnet.py", tmp_path, "--samples", "3000", "--epochs", "1")
    assert float(re.findall(r"test accuracy ([\d.]+)", printed)[0]) > 0.7
    assert (tmp_path / "mnist_convnet.rv").stat().st_size > 10_000
