"""``python -m benchmarks.table``: every row of ``benchmarks/targets.py`` in one run.

Printed are our time, the best peer's, the limit that flops, bytes and the measured ceilings set and what we reach of
it, the ratio to the best peer, and whether floor and goal are met.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.targets import TRAINING, Target, bench_of, targets
from ranvier.bench import report, run_bench, training
from ranvier.bench.command import environment, numbers_of, peers_of
from ranvier.bench.machine import LIMITED, Ceilings, describe, measure_ceilings, set_threads


@dataclass(frozen=True)
class Line:
    """A row of the table. Seconds are per call (networks: per sample or step); the limit is 0 where none is counted."""

    work: str
    threads: int
    ours: float
    spread: float
    peer: str
    peer_seconds: float
    limit: float
    floor: float
    goal: float
    ratio: float
    met: str  # "goal", "floor", "no"


def met(value: float, floor: float, goal: float) -> str:
    """Which of the two is reached."""
    return "goal" if value >= goal else "floor" if value >= floor else "no"


def measured_op(target: Target, roof: Ceilings, repeats: int, peers: list[str]) -> Line:
    """One row of an op."""
    row = next(iter(run_bench(bench_of(target), repeats, peers, [target.shape])))
    ratio = row.ratio or float("nan")
    peer = row.best_peer or "-"
    return Line(
        work=f"{row.bench} {report.words(row.shape)}",
        threads=row.threads,
        ours=row.seconds["ranvier"],
        spread=row.spread["ranvier"],
        peer=peer,
        peer_seconds=row.seconds.get(peer, float("nan")),
        limit=roof.seconds(row.flops, row.bytes, row.dtype),
        floor=target.floor,
        goal=target.goal,
        ratio=ratio,
        met=met(ratio, target.floor, target.goal),
    )


def measured_network(name: str, floor: float, goal: float, repeats: int, peers: list[str]) -> Line:
    """One network: floor and goal are times, in microseconds."""
    row, notes = training.train(name, peers, repeats)
    others = {key: value for key, value in row.seconds.items() if key != "ranvier"}
    peer = min(others, key=lambda key: others[key]) if others else "-"
    mine = row.seconds["ranvier"]
    return Line(
        work=f"train {name}, {row.unit} ({notes})" if notes else f"train {name}, {row.unit}",
        threads=row.threads,
        ours=mine,
        spread=row.spread["ranvier"],
        peer=peer,
        peer_seconds=others.get(peer, float("nan")),
        limit=0.0,
        floor=floor,
        goal=goal,
        ratio=others.get(peer, float("nan")) / mine,
        met=met(-mine * 1e6, -floor, -goal),
    )


def text(line: Line) -> str:
    """A row in words."""
    limit = f"{report.duration(line.limit):>9} {line.limit / line.ours:4.0%}" if line.limit else " " * 14
    return (
        f"{line.work:<88} {line.threads} {report.duration(line.ours):>9} +-{line.spread:3.0%}  "
        f"{line.peer:<6}{report.duration(line.peer_seconds):>9} {limit}  {line.ratio:6.2f}  "
        f"{line.floor:5g} {line.goal:5g}  {line.met}"
    )


def main() -> int:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=__doc__)
    parser.add_argument("rows", nargs="*", help="rows that contain one of these, as matmul, lstm, train (default: all)")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--peers", default="all")
    parser.add_argument("--isa", choices=sorted(LIMITED))
    parser.add_argument("--malloc", choices=("default", "keep"), default="default")
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    missing = environment(arguments)
    if missing:
        child = [sys.executable, "-m", "benchmarks.table", *sys.argv[1:]]
        return subprocess.run(child, env={**os.environ, **missing}, check=False).returncode
    lines, ceilings = [], []
    for count in numbers_of(arguments.threads):
        set_threads(count)
        roof = measure_ceilings()
        ceilings.append(roof)
        print(report.heading(roof))
        print(f"{'work':<88} threads, ours, best peer, limit and what we reach of it, peer / ours, floor, goal, met")
        peers = [peer for peer in peers_of(arguments.peers) if peer != "jax" or count == describe()["cores"]]
        for target in targets():
            if wanted(f"{target.bench} {report.words(target.shape)}", arguments.rows):
                lines.append(measured_op(target, roof, arguments.repeats, peers))
                print(text(lines[-1]), flush=True)
        for network in TRAINING:
            if wanted(f"train {network.network}", arguments.rows):
                lines.append(measured_network(network.network, network.floor, network.goal, arguments.repeats, peers))
                print(text(lines[-1]), flush=True)
    for count in numbers_of(arguments.threads):
        here = [line.met for line in lines if line.threads == count]
        print(
            f"{count} threads: {len(here)} rows, goal met in {here.count('goal')}, floor in {here.count('floor')} more"
        )
    if arguments.json:
        report.save(arguments.json, "python -m benchmarks.table " + " ".join(sys.argv[1:]), ceilings, lines)
    return 0


def wanted(work: str, asked: list[str]) -> bool:
    """Whether a row is asked for."""
    return not asked or any(name in work for name in asked)


if __name__ == "__main__":
    sys.exit(main())
