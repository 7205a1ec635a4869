"""``ranvier kernel``: new, headers, build, test and bench of kernels from outside the tree."""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ranvier import _core, kernels
from ranvier.kernels.project import DEVICES, Project, build, include_folder, new, suite_folder


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The verbs of ``ranvier kernel``."""
    verbs = command.add_subparsers(title="verbs", metavar="VERB", required=True)
    verb = verbs.add_parser("new", help="write a small project with an op's contract")
    verb.add_argument("family", help="gemm, conv2d, softmax, ...")
    verb.add_argument("folder")
    verb.add_argument("--device", default="cpu", choices=DEVICES, help="sim and cuda: a kernel.cu for both")
    verb.set_defaults(run=_guarded(_new))
    verb = verbs.add_parser("headers", help="where the contracts are")
    verb.set_defaults(run=_guarded(lambda _: print(include_folder())))
    for name, run, text in (
        ("build", _build, "compile a project"),
        ("test", _test, "build it and run the op's own spec on it"),
        ("bench", _bench, "build it and measure it beside ours and the peers'"),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("folder")
        if name == "build":
            verb.add_argument("--device", choices=DEVICES, help="cuda: compile a kernel.cu with nvcc (default: sim)")
        if name == "test":
            verb.add_argument("pytest", nargs="*", help="more arguments for pytest, after --")
        if name == "bench":
            verb.add_argument("ops", nargs="*", help="benchmarks of the family (default: all)")
            verb.add_argument("--repeats", type=int, default=9)
        verb.set_defaults(run=_guarded(run))


def _guarded(run: Callable[[argparse.Namespace], int | None]) -> Callable[[argparse.Namespace], int]:
    """What the user can mend is one line, not a traceback."""

    def guarded(arguments: argparse.Namespace) -> int:
        try:
            return run(arguments) or 0
        except (OSError, ValueError, RuntimeError) as error:
            print(f"ranvier kernel: {error}", file=sys.stderr)
            return 1

    return guarded


def _new(arguments: argparse.Namespace) -> None:
    folder = new(arguments.family, arguments.folder, arguments.device)
    source = Project(folder).source
    print(f"wrote {source}; its contract is {include_folder() / 'ops' / arguments.family}.h")
    print(f"next: ranvier kernel test {folder}, ranvier kernel bench {folder}, rv.kernels.use({str(folder)!r})")


def _build(arguments: argparse.Namespace) -> None:
    print(build(arguments.folder, arguments.device))


def _test(arguments: argparse.Namespace) -> int:
    library = build(arguments.folder)
    suite, project = suite_folder(), Project(Path(arguments.folder))
    package = Path(_core.__file__).parents[1]
    environment = {
        **os.environ,
        "RANVIER_KERNELS": str(library),
        "RANVIER_SPECS": project.family,
        "PYTHONPATH": os.pathsep.join([str(suite), str(package), os.environ.get("PYTHONPATH", "")]),
    }
    options = ["-q", "-p", "no:cacheprovider", f"--rootdir={suite}", *arguments.pytest]
    tests = suite / "tests" / ("ops/test_specs.py" if project.device == "cpu" else "sim/test_ops.py")
    return subprocess.run([sys.executable, "-m", "pytest", *options, str(tests)], env=environment).returncode


def _bench(arguments: argparse.Namespace) -> None:
    from ranvier.bench import measure_ceilings, run_bench, selected, table

    project = Project(Path(arguments.folder))
    if project.device == "sim":
        from ranvier.kernels.counts import compare

        return compare(project, arguments.ops)
    kernels.use(arguments.folder)
    _core._enable_own_kernels(False)
    ceilings = measure_ceilings()
    name = project.folder.resolve().name
    for _, bench in selected(arguments.ops or [project.family]):

        def prepare(bench: Any = bench, **shape: Any) -> dict[str, Any]:
            thunks = bench.prepare(**shape)
            return {**thunks, name: kernels.contender(thunks["ranvier"])}

        rows = list(run_bench(dataclasses.replace(bench, prepare=prepare), arguments.repeats))
        if rows:
            print(table(rows, ceilings), flush=True)
