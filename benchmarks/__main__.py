"""``python -m benchmarks [family ...]``: each op family's shapes beside the installed peers, in one process."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from ranvier.bench import measure_ceilings, run_bench, table


def main() -> None:
    """Runs the families named on the command line, or all."""
    families = sorted(p.stem for p in (Path(__file__).parent / "ops").glob("*.py") if p.stem != "__init__")
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("family", nargs="*", help=f"op families (default: all): {', '.join(families)}")
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.family) - set(families))
    if unknown:
        parser.error(f"unknown family {', '.join(unknown)}; there are {', '.join(families)}")
    ceilings = measure_ceilings()
    for family in arguments.family or families:
        for bench in import_module(f"benchmarks.ops.{family}").BENCHES:
            print(table(run_bench(bench, arguments.repeats), ceilings), flush=True)


if __name__ == "__main__":
    main()
