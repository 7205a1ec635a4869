"""``ranvier bench``: what its arguments mean."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from ranvier import _core
from ranvier.bench import report
from ranvier.bench.harness import OpBench, Row, Shape, measuring, run_bench, selected
from ranvier.bench.machine import KEPT_PAGES, LIMITED, Ceilings, describe, measure_ceilings, set_threads

PEERS = ("numpy", "torch", "jax")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The arguments of ``ranvier bench``."""
    command.add_argument(
        "what",
        nargs="*",
        metavar="OP",
        help="ops or families (gemm, softmax, leaky_relu, ...; default: every op), or train: whole training steps",
    )
    command.add_argument("--peers", default="all", help="all, none, or some of torch,numpy,jax (default: all)")
    command.add_argument("--threads", help="numbers of threads, as in 1,2 (default: as many as we use anyway)")
    command.add_argument("--dtype", default="float32", help="float32, float64 or both: float32,float64")
    command.add_argument("--shapes", help="instead of the shapes that matter: 'm=1000,n=10,k=7;m=64,n=64,k=64'")
    command.add_argument("--repeats", type=int, default=9, help="samples of each contender (default: 9)")
    command.add_argument("--isa", choices=sorted(LIMITED), help="limit us and the peers to this instruction set")
    command.add_argument(
        "--malloc",
        choices=("default", "keep"),
        default="default",
        help="keep: a malloc that keeps its pages, which spares the peers page faults (ours are spared them anyway)",
    )
    command.add_argument("--sweep", type=int, metavar="N", help="N random awkward shapes of each op; lists those lost")
    command.add_argument("--seed", type=int, default=0, help="of the random shapes (default: 0)")
    command.add_argument(
        "--device",
        choices=("cpu", "sim"),
        default="cpu",
        help="sim, with --variants: the GPU's ladders on the simulator, which counts what they ask of memory",
    )
    command.add_argument("--variants", action="store_true", help="climb the teaching ladder of the op")
    command.add_argument("--plot", metavar="FILE", help="draw the roofline and bars to this PNG, SVG or PDF")
    command.add_argument("--json", metavar="FILE", help="save everything measured")
    command.set_defaults(run=run)


def peers_of(text: str) -> list[str]:
    """The peers that ``--peers`` names."""
    if text == "none":
        return []
    names = list(PEERS) if text == "all" else [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in PEERS]
    if unknown:
        raise ValueError(f"--peers: no peer is called {', '.join(unknown)}; there are {', '.join(PEERS)}")
    absent = [name for name in names if find_spec(name) is None]
    if absent and text != "all":
        raise ValueError(f"--peers: {', '.join(absent)} is not installed (pip install 'ranvier[bench]' brings torch)")
    return names


def numbers_of(text: str) -> list[int]:
    """The positive numbers of ``--threads``."""
    numbers = [int(part) if part.strip().isdigit() else 0 for part in text.split(",")]
    if min(numbers) < 1:
        raise ValueError(f"--threads: expected positive numbers, as in 1,2, got {text!r}")
    return numbers


def shapes_of(text: str) -> list[Shape]:
    """``m=1,n=2;m=3,n=4`` as dicts; spaces, as the tables print, do for commas. What is no whole number stays text."""
    shapes: list[Shape] = []
    for part in filter(None, (p.strip() for p in text.split(";"))):
        pairs = [pair.split("=", 1) for pair in filter(None, re.split(r"[,\s]+", part))]
        if any(len(pair) != 2 or not pair[0].strip() for pair in pairs):
            raise ValueError(f"--shapes: expected name=value pairs, as in m=64,n=32,k=16, got {part!r}")
        values = [(name.strip(), value.strip()) for name, value in pairs]
        shapes.append({name: int(value) if value.isdigit() else value for name, value in values})
    return shapes


def fitting(first: Shape, asked: list[Shape]) -> list[Shape]:
    """The shapes asked for that speak of a benchmark; what they leave open is as in its first shape."""
    shapes = [shape for shape in asked if set(shape) <= set(first)]
    for shape in shapes:
        for name, value in shape.items():
            if type(value) is not type(first[name]):
                raise ValueError(f"--shapes: {name} is like {name}={first[name]} here, got {name}={value}")
    return [{**first, **shape} for shape in shapes]


def environment(arguments: argparse.Namespace) -> dict[str, str]:
    """What must be set before anything is loaded and is not yet."""
    wanted = {**(LIMITED[arguments.isa] if arguments.isa else {}), **(KEPT_PAGES if arguments.malloc == "keep" else {})}
    return {name: value for name, value in wanted.items() if os.environ.get(name) != value}


def measure(
    benches: Sequence[tuple[OpBench, Sequence[Shape]]], threads: Sequence[int], dtype: str, repeats: int, peers: Any
) -> tuple[list[Row], list[Ceilings]]:
    """Every shape under every number of threads, each printed as soon as it is known."""
    rows, ceilings = [], []
    for count in threads:
        set_threads(count)
        roof = measure_ceilings()
        ceilings.append(roof)
        print(("" if count == threads[0] else "\n") + report.heading(roof), flush=True)
        # JAX takes the threads that the machine has: beside it only on as many.
        here = [peer for peer in peers if peer != "jax" or count == describe()["cores"]]
        for bench, shapes in benches:
            for row in run_bench(bench, repeats, here, shapes):
                rows.append(row)
                print(report.line(row, roof), flush=True)
    return rows, ceilings


def run_variants(arguments: argparse.Namespace, command: str) -> int:
    """The teaching ladders."""
    from ranvier.bench import ladder

    names = [ladder.FAMILIES.get(name, name) for name in arguments.what or ladder.CLIMBS]
    unknown = [name for name in names if name not in ladder.CLIMBS]
    if unknown:
        raise ValueError(f"--variants: {', '.join(unknown)} has no ladder; there are {', '.join(ladder.CLIMBS)}")
    peers, asked = peers_of(arguments.peers), shapes_of(arguments.shapes or "")
    climbs = []
    for count in numbers_of(arguments.threads) if arguments.threads else [_core.num_threads()]:
        set_threads(count)
        roof = measure_ceilings()
        print(report.heading(roof), flush=True)
        for name in names:
            shapes = ladder.CLIMBS[name].shapes
            for shape in fitting(shapes[0], asked) or shapes:
                heights = ladder.climb(name, shape, arguments.repeats, peers)
                climbs.append((heights, roof))
                print(ladder.table(heights, roof), flush=True)
    if arguments.json:
        report.save(
            arguments.json, command, [roof for _, roof in climbs], [h for heights, _ in climbs for h in heights]
        )
    if arguments.plot:
        from ranvier.bench.plot import climb

        climb(climbs, arguments.plot, f"{describe()['processor']}, {describe()['isa']}: {command}")
    return 0


def run_counts(arguments: argparse.Namespace, command: str) -> int:
    """The teaching ladders of a GPU, counted by the simulator."""
    from ranvier.bench import ladder_sim

    if not arguments.variants:
        raise ValueError("--device sim: the simulator counts and knows no time; it climbs ladders: add --variants")
    names = [ladder_sim.FAMILIES.get(name, name) for name in arguments.what or ladder_sim.LADDERS]
    unknown = [name for name in names if name not in ladder_sim.LADDERS]
    if unknown:
        known = ", ".join(ladder_sim.LADDERS)
        raise ValueError(f"--variants: {', '.join(unknown)} has no ladder on sim; there are {known}")
    climbs, asked = [], shapes_of(arguments.shapes or "")
    for name in names:
        usual = ladder_sim.LADDERS[name].shape
        for shape in fitting(usual, asked) or [usual]:
            climbs.append(ladder_sim.climb(name, shape))
            print(ladder_sim.table(climbs[-1]), flush=True)
    if arguments.json:
        report.save(arguments.json, command, [], [row for rows in climbs for row in rows])
    if arguments.plot:
        from ranvier.bench.plot import counts

        counts(climbs, arguments.plot, command)
    return 0


def run_training(arguments: argparse.Namespace, command: str) -> int:
    """Whole training steps."""
    from ranvier.bench import training

    names = arguments.what[1:] or list(training.NETWORKS)
    unknown = [name for name in names if name not in training.NETWORKS]
    if unknown:
        raise ValueError(f"train: no network is called {', '.join(unknown)}; there are {', '.join(training.NETWORKS)}")
    peers, rows, ceilings = peers_of(arguments.peers), [], []
    for count in numbers_of(arguments.threads) if arguments.threads else [_core.num_threads()]:
        set_threads(count)
        ceilings.append(measure_ceilings())
        print(report.heading(ceilings[-1]), flush=True)
        here = [peer for peer in peers if peer != "jax" or count == describe()["cores"]]
        for name in names:
            row, notes = training.train(name, here, arguments.repeats)
            rows.append(row)
            print(training.line(row, notes), flush=True)
    if arguments.json:
        report.save(arguments.json, command, ceilings, rows)
    return 0


def run_sweep(arguments: argparse.Namespace, command: str) -> int:
    """Random shapes of every op beside its peers."""
    from ranvier.bench import sweep

    if arguments.sweep < 1:
        raise ValueError(f"--sweep: expected a positive number of shapes, got {arguments.sweep}")
    peers = peers_of(arguments.peers)
    if not peers:
        raise ValueError("--sweep: compares with peers; pip install 'ranvier[bench]' brings torch")
    swept, ceilings = [], []
    for count in numbers_of(arguments.threads) if arguments.threads else [_core.num_threads()]:
        set_threads(count)
        ceilings.append(measure_ceilings())
        print(report.heading(ceilings[-1]), flush=True)
        swept += sweep.run([bench for _, bench in selected(arguments.what)], arguments.sweep, peers, arguments.seed)
    if arguments.json:
        report.save(arguments.json, command, ceilings, swept)
    return 0


def run_ops(arguments: argparse.Namespace, command: str) -> int:
    """Ops beside their peers."""
    peers, asked = peers_of(arguments.peers), shapes_of(arguments.shapes or "")
    chosen = [bench for _, bench in selected(arguments.what)]
    benches = [(bench, fitting(bench.shapes[0], asked) if asked else bench.shapes) for bench in chosen]
    benches = [(bench, shapes) for bench, shapes in benches if shapes]
    if not benches:
        firsts = {b.name: b.shapes[0] for _, b in selected(arguments.what)}
        known = "; ".join(f"{name}: {','.join(f'{k}={v}' for k, v in shape.items())}" for name, shape in firsts.items())
        raise ValueError(f"--shapes: nothing has these names; as in {known}")
    threads = numbers_of(arguments.threads) if arguments.threads else [_core.num_threads()]
    rows: list[Row] = []
    ceilings: list[Ceilings] = []
    for name in arguments.dtype.split(","):
        if name not in ("float32", "float64"):
            raise ValueError(f"--dtype: expected float32, float64 or both, got {arguments.dtype!r}")
        with measuring(name):
            found, roofs = measure(benches, threads, name, arguments.repeats, peers)
        rows, ceilings = rows + found, ceilings or roofs
    if not rows:
        raise ValueError(f"--dtype: nothing of this is measured in {arguments.dtype}")
    print("\n" + report.verdict(rows) if peers else "", flush=True)
    if arguments.json:
        report.save(arguments.json, command, ceilings, rows)
    if arguments.plot:
        from ranvier.bench.plot import picture

        facts = describe()
        picture(rows, ceilings, arguments.plot, f"{facts['processor']}, {facts['isa']}: {command}")
    return 0


def run(arguments: argparse.Namespace) -> int:
    """Measures what was asked for, in a process of its own where something must be set before the peers are loaded."""
    missing = environment(arguments)
    if missing:
        child = [sys.executable, "-m", "ranvier.cli", *arguments.argv]
        return subprocess.run(child, env={**os.environ, **missing}, check=False).returncode
    command = " ".join(["ranvier", *arguments.argv])
    try:
        if arguments.repeats < 1:
            raise ValueError(f"--repeats: expected a positive number, got {arguments.repeats}")
        if arguments.device == "sim":
            return run_counts(arguments, command)
        if arguments.what[:1] == ["train"]:
            return run_training(arguments, command)
        kind = run_sweep if arguments.sweep is not None else run_variants if arguments.variants else run_ops
        return kind(arguments, command)
    except (ValueError, ImportError) as error:
        print(f"ranvier bench: {error}", file=sys.stderr)
        return 1
