"""Runs clang-tidy over the C++ that is compiled once: ``python tools/tidy.py BUILD_FOLDER``.

The kernels of csrc/cpu are checked as the baseline compiles them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


def check(build: Path, source: str) -> str:
    """The complaints about one file; empty if there are none."""
    command = [str(BIN / "clang-tidy"), "-p", str(build), "--quiet", "--extra-arg=-Wno-unknown-warning-option", source]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout + done.stderr if done.returncode else ""


def main() -> None:
    """Configures a baseline build for its compile commands, then checks its files two at a time."""
    build = Path(sys.argv[1])
    configure = ["cmake", "-S", str(ROOT), "-B", str(build), "-G", "Ninja", "-DRANVIER_ISAS=baseline"]
    configure += ["-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", f"-DPython_EXECUTABLE={sys.executable}"]
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    subprocess.run(configure, check=True, env=environment, stdout=subprocess.DEVNULL)
    entries = json.loads((build / "compile_commands.json").read_text())
    # Not the .cu files: the simulator's build of them has flags that only GCC knows.
    sources = sorted(
        {e["file"] for e in entries if Path(e["file"]).is_relative_to(ROOT.resolve()) and e["file"].endswith(".cpp")}
    )
    with ThreadPoolExecutor(2) as pool:
        complaints = [text for text in pool.map(lambda source: check(build, source), sources) if text]
    print("\n".join(complaints))
    print(f"clang-tidy: {len(sources)} files, {len(complaints)} with complaints")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
