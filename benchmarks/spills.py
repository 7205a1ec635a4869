"""Do the inner loops of the GEMM microkernels keep their accumulators in registers?

Disassembles the built objects and looks for reads and writes of the stack in the innermost loops of ``compute_tile``:
a spilled accumulator costs up to a third of the speed, and only the compiler decides. Build first, then

    python benchmarks/spills.py                       # the objects below $RANVIER_BUILD_DIR, or below build/
    python benchmarks/spills.py some.o _core.so ...

Ends with status 1 where a loop spills, 2 where nothing could be checked.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FUNCTION = re.compile(r"^[0-9a-f]+ <(?P<name>.*)>:$")
INSTRUCTION = re.compile(r"^\s*(?P<address>[0-9a-f]+):\s+(?P<text>\S.*)$")
JUMP = re.compile(r"^(?:bnd )?j[a-z]+\s+(?P<target>[0-9a-f]+)")
STACK = re.compile(r"\(%rsp|\(%rbp")
KERNEL = re.compile(r"(?P<isa>\w+)::\(anonymous namespace\)::(?P<kernel>compute_tile<[^>]*>)")


@dataclass
class Loop:
    """An innermost loop that multiplies and adds."""

    isa: str
    kernel: str
    instructions: int
    multiplications: int
    stack: list[str]


def disassembly(path: Path) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """Every function's name and instructions."""
    command = ["objdump", "--disassemble", "--demangle", "--no-show-raw-insn", str(path)]
    name = ""
    body: list[tuple[int, str]] = []
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        if function := FUNCTION.match(line):
            yield name, body
            name, body = function["name"], []
        elif instruction := INSTRUCTION.match(line):
            body.append((int(instruction["address"], 16), instruction["text"].split("#")[0].strip()))
    yield name, body


def innermost_loops(body: list[tuple[int, str]]) -> Iterator[list[str]]:
    """The instructions from each backward jump's target to the jump, where no other backward jump lies between."""
    loops = []
    for address, text in body:
        jump = JUMP.match(text)
        if jump and int(jump["target"], 16) <= address:
            loops.append((int(jump["target"], 16), address))
    for begin, end in loops:
        if not any(begin <= b and e <= end and (b, e) != (begin, end) for b, e in loops):
            yield [text for address, text in body if begin <= address <= end]


def kernel_loops(path: Path) -> Iterator[Loop]:
    """The loops over k of every microkernel in an object or library."""
    for name, body in disassembly(path):
        kernel = KERNEL.search(name)
        if kernel is None:
            continue
        frame = any(text.replace(" ", "") == "mov%rsp,%rbp" for _, text in body)  # else %rbp is like any other
        for loop in innermost_loops(body):
            multiplications = sum(text.startswith(("vfmadd", "mulp")) for text in loop)
            if multiplications == 0:
                continue
            stack = [text for text in loop if STACK.search(text) and (frame or "(%rsp" in text)]
            yield Loop(kernel["isa"], kernel["kernel"], len(loop), multiplications, stack)


def built_objects() -> list[Path]:
    """The GEMM objects of every instruction set that was built."""
    build = Path(os.environ.get("RANVIER_BUILD_DIR", ROOT / "build"))
    return sorted(build.glob("**/ranvier_cpu_*.dir/csrc/cpu/gemm/*.o"))


def main() -> int:
    """Prints a line for each kernel."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("objects", nargs="*", type=Path)
    paths = parser.parse_args().objects or built_objects()
    if shutil.which("objdump") is None:
        print("objdump is not installed (it comes with binutils): nothing was checked", file=sys.stderr)
        return 2
    loops = [loop for path in paths for loop in kernel_loops(path)]
    if not loops:
        print("no microkernels found: build first, or name the objects", file=sys.stderr)
        return 2
    print(f"{'':9} {'kernel':44} {'instructions':>12} {'multiplying':>12} {'on the stack':>13}")
    for loop in loops:
        print(f"{loop.isa:9} {loop.kernel:44} {loop.instructions:12} {loop.multiplications:12} {len(loop.stack):13}")
        for text in loop.stack:
            print(f"{'':10}{text}")
    spilled = sum(bool(loop.stack) for loop in loops)
    print(f"{len(loops)} inner loops, {spilled} of them touch the stack")
    return 1 if spilled else 0


if __name__ == "__main__":
    sys.exit(main())
