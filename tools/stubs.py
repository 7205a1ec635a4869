"""Writes ``python/ranvier/_core.pyi`` from the installed module, or with ``--check`` compares the two."""

from __future__ import annotations

import argparse
import difflib
import subprocess
import sys
import tempfile
from pathlib import Path

STUB = Path(__file__).parent.parent / "python" / "ranvier" / "_core.pyi"

# Parameters of slots, as the generator writes them and as they are.
TYPED = {
    "def __new__(type, *args, **kwargs):": "def __new__(cls, *args: typing.Any, **kwargs: typing.Any) -> typing.Any:",
    "def __call__(self, *args, **kwargs):": "def __call__(self, *a: typing.Any, **k: typing.Any) -> typing.Any:",
    "def __getitem__(self, key):": "def __getitem__(self, key: typing.Any) -> typing.Any:",
    "def __get__(self, instance, owner = None):": "def __get__(self, obj: typing.Any, t: typing.Any) -> typing.Any:",
}


def generated() -> str:
    """The stub of the module that this interpreter imports."""
    with tempfile.TemporaryDirectory() as folder:
        # From a folder of its own: the sources beside us must not hide the installed module.
        command = [sys.executable, "-m", "pybind11_stubgen", "ranvier._core", "-o", folder, "--exit-code"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr)
        text = (Path(folder) / "ranvier" / "_core.pyi").read_text()
    # The generator names NumPy's types without importing them, and knows no types of CPython's own slots.
    text = text.replace("import typing\n", "import typing\n\nimport numpy\n", 1)
    for untyped, typed in TYPED.items():
        text = text.replace(untyped, typed)
    return text


def main() -> None:
    """Writes or checks the stub."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare; exit 1 where they differ")
    text = generated()
    if not parser.parse_args().check:
        STUB.write_text(text)
        print(f"wrote {STUB}")
        return
    committed = STUB.read_text() if STUB.exists() else ""
    if committed != text:
        diff = difflib.unified_diff(committed.splitlines(), text.splitlines(), str(STUB), "the module", lineterm="")
        print("\n".join(diff))
        sys.exit("the stub does not match the module: run tools/stubs.py and commit python/ranvier/_core.pyi")
    print("the stub matches the module")


if __name__ == "__main__":
    main()
