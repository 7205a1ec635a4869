"""The ``ranvier`` command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import ranvier as rv
from ranvier.bench import command as bench
from ranvier.kernels import command as kernel


def usage(arguments: argparse.Namespace) -> int:
    """Without a command: what there is."""
    parser().print_help(sys.stderr)
    return 2


def info(arguments: argparse.Namespace) -> int:
    """Prints what was built and what runs here."""
    for key, value in rv.build_info().items():
        print(f"{key.replace('_', ' '):<24} {', '.join(value) if isinstance(value, (list, tuple)) else value}")
    return 0


def where(arguments: argparse.Namespace) -> int:
    """Prints every room of an op with its line."""
    from ranvier import rooms

    try:
        for place in rooms.find(arguments.op):
            print(f"{place.room:<20} {place.path}:{place.line:<5} {place.text[:80]}")
    except (FileNotFoundError, ValueError) as error:
        print(f"ranvier where: {error}", file=sys.stderr)
        return 1
    return 0


def quickstart(arguments: argparse.Namespace) -> int:
    """Trains the two networks of the quickstart."""
    from ranvier.quickstart import run

    return run(
        quick=arguments.quick,
        epochs=arguments.epochs,
        seed=arguments.seed,
        data=arguments.data,
        picture=arguments.picture,
        download=arguments.download,
    )


def parser() -> argparse.ArgumentParser:
    """The command line of ``ranvier``."""
    top = argparse.ArgumentParser(prog="ranvier", description="Deep learning from the kernel up.")
    top.add_argument("--version", action="version", version=f"ranvier {rv.__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND")
    top.set_defaults(run=usage)

    command = commands.add_parser("info", help="what was built, and what runs here")
    command.set_defaults(run=info)

    command = commands.add_parser("where", help="the declaration, kernels, gradient, reference, test of an op")
    command.add_argument("op", help="an op or a family: conv2d, leaky_relu, gemm, ...")
    command.set_defaults(run=where)

    command = commands.add_parser("quickstart", help="train two networks on MNIST and see what they get wrong")
    command.add_argument("--quick", action="store_true", help="one epoch on a few thousand digits")
    command.add_argument("--epochs", type=int, default=5, help="epochs for each network (default: 5)")
    command.add_argument("--seed", type=int, default=1, help="same seed, same weights (default: 1)")
    command.add_argument("--data", choices=("auto", "mnist", "digits"), default="auto")
    command.add_argument("--download", action="store_true", help="fetch MNIST (11 MB) if it is not here")
    command.add_argument("--picture", default="ranvier-quickstart.png", help="where to draw (default: %(default)s)")
    command.set_defaults(run=quickstart)

    command = commands.add_parser("kernel", help="kernels of your own in the place of ours: new, build, test, bench")
    kernel.add_arguments(command)

    command = commands.add_parser("bench", help="measure our kernels beside NumPy, PyTorch and JAX")
    bench.add_arguments(command)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status."""
    arguments = parser().parse_args(argv)
    arguments.argv = sys.argv[1:] if argv is None else list(argv)
    try:
        status: int = arguments.run(arguments)
        return status
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
