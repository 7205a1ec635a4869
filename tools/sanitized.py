"""Builds the module with AddressSanitizer and UndefinedBehaviorSanitizer; runs the op specs and replayed steps on it.

``python tools/sanitized.py BUILD_FOLDER [pytest arguments]``;
needs g++, cmake, ninja, pybind11 and Ranvier with its test extra.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ranvier import _core

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Builds into the folder named, beside a copy of the Python sources, and tests that."""
    folder = Path(sys.argv[1]).resolve()
    build, package = folder / "build", folder / "python" / "ranvier"
    shutil.copytree(ROOT / "python" / "ranvier", package, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.so"))
    configure = ["cmake", "-S", str(ROOT), "-B", str(build), "-G", "Ninja", "-DRANVIER_SANITIZE=ON"]
    # One instruction set, the best that runs here: the sources are the same for all.
    configure += [f"-DRANVIER_ISAS={_core._isa()}"]
    configure += [f"-DPython_EXECUTABLE={sys.executable}", f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={package}"]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(configure, check=True, env=environment, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", str(build)], check=True, env=environment, stdout=subprocess.DEVNULL)
    runtime = [
        subprocess.run(["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    environment |= {
        "LD_PRELOAD": " ".join(runtime),
        # Python itself leaks by design; an allocation that is too large must be an error, not an abort.
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:abort_on_error=0",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        "PYTHONPATH": str(folder / "python"),
        "PYTHONMALLOC": "malloc",
        "HYPOTHESIS_PROFILE": "small",
    }
    tests = sys.argv[2:] or ["tests/ops", "tests/models/test_replay.py", "-q", "-x"]
    sys.exit(subprocess.run([sys.executable, "-m", "pytest", *tests], cwd=ROOT, env=environment).returncode)


if __name__ == "__main__":
    main()
