"""Seconds and memory that saving and loading VGG16 takes: ``python -m benchmarks.saving``.

Each measurement is a process of its own, so that its highest memory (VmHWM, above what the process had before) is that
of the one thing measured. The weights are 138,357,544 float32, 553 MB. A plain copy of the file, read and written in
pieces and synced, is measured beside, as what the disk allows.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WEIGHTS = 138_357_544 * 4  # bytes


def _peak() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


def _now() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024


def _copy(source: str, target: str) -> None:
    with open(source, "rb") as read, open(target, "wb") as write:
        while piece := read.read(1 << 22):
            write.write(piece)
        write.flush()
        os.fsync(write.fileno())


def measure(what: str, folder: str) -> None:
    """Prints seconds and peak bytes of one thing; the model is there before ``save``, and made by ``load``."""
    import ranvier as rv

    path = f"{folder}/vgg16.{'keras' if 'keras' in what else 'rv'}"
    model = None
    if what.startswith(("save", "weights")):
        from ranvier.variable import uninitialized  # what the weights are makes no difference

        with uninitialized(WEIGHTS):
            model = rv.applications.VGG16(weights=None)
        for variable in model.weights:
            variable.array.numpy()[...] = 0.5
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    before, begin = _now(), time.perf_counter()
    if what.startswith("save"):
        model.save(path)  # type: ignore[union-attr]
    elif what.startswith("weights"):
        model.load_weights(path)  # type: ignore[union-attr]
    elif what.startswith("load"):
        model = rv.models.load_model(path)
    else:
        _copy(path, f"{folder}/copy")
    seconds = time.perf_counter() - begin
    print(seconds, _peak() - before, before, flush=True)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help="where to write")
    args = parser.parse_args()
    if args.one:
        measure(args.one, args.folder)
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        print("| what | seconds | GB/s | memory beyond the process's, of the weights' |\n| --- | ---: | ---: | ---: |")
        for what in ("save", "load", "weights", "copy", "save keras", "load keras"):
            command = [sys.executable, "-m", "benchmarks.saving", "--one", what, "--folder", folder]
            seconds, peak, _ = map(float, subprocess.run(command, capture_output=True, check=True).stdout.split())
            print(f"| {what} | {seconds:.2f} | {WEIGHTS / seconds / 1e9:.2f} | {peak / WEIGHTS:.2f} |", flush=True)


if __name__ == "__main__":
    main()
