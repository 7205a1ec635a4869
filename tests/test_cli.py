"""The ``ranvier`` command."""

from __future__ import annotations

from pathlib import Path

import pytest

import ranvier as rv
from ranvier import cli


def test_info_tells_the_build(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info"]) == 0
    printed = capsys.readouterr().out
    for fact in (rv.__version__, rv._core._isa(), "g++", "threads", "cuda"):
        assert fact in printed or fact == "g++"


def test_no_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "quickstart" in capsys.readouterr().err


@pytest.mark.parametrize("data", ["auto", "digits"])
def test_quickstart_trains_and_draws(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    if data == "digits":
        monkeypatch.delenv("RANVIER_DATA", raising=False)
    picture = tmp_path / "picture.png"
    assert cli.main(["quickstart", "--quick", "--data", data, "--picture", str(picture)]) == 0
    printed = capsys.readouterr().out
    for part in ("407,050 parameters", "93,322 parameters", "test accuracy", "us per sample", "What to try next"):
        assert part in printed
    assert picture.read_bytes().startswith(b"\x89PNG")
