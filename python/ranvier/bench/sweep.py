"""``ranvier bench --sweep N``: off the beaten path, N random shapes of each op that nobody tuned for.

The shapes that matter (``OpBench.shapes``) are round. These are odd in both senses: sizes that no vector divides,
batches of one, prime channel counts, long and thin. A shape is lost when the best peer beats us by more than
5% in three separate measurements: on a noisy machine one in twenty looks lost once.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ranvier import _core
from ranvier.bench import report
from ranvier.bench.harness import OpBench, Shape, Thunk, seconds_of, summary, time_interleaved
from ranvier.bench.machine import settle

ROUNDS = 3
CLEAR = 1.25  # a ratio that a first short look settles
LARGEST_BYTES, LARGEST_FLOPS = 32e6, 4e9  # a shape takes some 20 ms at most
TRIES = 1000


@dataclass(frozen=True)
class Swept:
    """One random shape, and the ratio to the best peer in each of its measurements."""

    bench: str
    shape: Shape
    peer: str
    ours: float  # seconds, of the last measurement
    ratios: tuple[float, ...]
    threads: int
    isa: str

    @property
    def lost(self) -> bool:
        """Behind in every one of the measurements."""
        return len(self.ratios) == ROUNDS and max(self.ratios) < report.LOST


def odd(rng: np.random.Generator, low: int, high: int) -> int:
    """An odd number from low to high, as likely between 1 and 10 as between 100 and 1000.

    >>> odd(np.random.default_rng(0), 1, 1000)
    81
    """
    return min(int(np.exp(rng.uniform(np.log(low), np.log(high + 1)))) | 1, high)


def drawn(bench: OpBench, rng: np.random.Generator) -> Shape:
    """A random shape of the benchmark's own kind, within the limits of size.

    Without a ``draw`` of its own, sizes go from 1 to the largest that the benchmark lists, and what is text or named
    in ``bench.kept`` (an axis) is one of those listed.
    """
    for _ in range(TRIES):
        if bench.draw is not None:
            shape = bench.draw(rng)
        else:
            listed = bench.shapes[int(rng.integers(len(bench.shapes)))]
            largest = {k: max(s[k] for s in bench.shapes) for k, v in listed.items() if isinstance(v, int)}
            shape = {
                k: v if k in bench.kept or k not in largest else odd(rng, 1, largest[k]) for k, v in listed.items()
            }
        if bench.bytes(**shape) <= LARGEST_BYTES and bench.flops(**shape) <= LARGEST_FLOPS:
            return shape
    raise ValueError(f"{bench.name}: none of {TRIES} random shapes is small enough to sweep")


def worthy(contenders: dict[str, Thunk]) -> dict[str, Thunk]:
    """Ourselves and the peers that may be the best: others, a plain NumPy convolution say, would take all the time."""
    once = {}
    for name, thunk in contenders.items():
        settle()
        first = seconds_of(thunk, 1)
        once[name] = min(first, seconds_of(thunk, 1)) if first < 1 else first
    best = min((seconds for name, seconds in once.items() if name != "ranvier"), default=0.0)
    return {name: thunk for name, thunk in contenders.items() if name == "ranvier" or once[name] <= 2 * best}


def measured(bench: OpBench, shape: Shape, peers: Sequence[str]) -> Swept | None:
    """One shape, measured until it is not behind, three times at most; None where there is no peer."""
    prepared = bench.prepare(**shape)
    contenders = worthy({k: v for k, v in prepared.items() if k == "ranvier" or k in peers})
    if len(contenders) < 2:
        return None

    def look(repeats: int, budget: float) -> tuple[float, float, str]:
        seconds, _ = summary(time_interleaved(contenders, repeats, budget))
        peer = min((name for name in seconds if name != "ranvier"), key=lambda name: seconds[name])
        return seconds[peer] / seconds["ranvier"], seconds["ranvier"], peer

    ratio, ours, peer = look(3, 0.002)
    ratios = [ratio] if ratio > CLEAR else []
    while len(ratios) < ROUNDS and (not ratios or ratios[-1] < report.LOST):
        ratio, ours, peer = look(5 + 2 * len(ratios), 0.005)
        ratios.append(ratio)
    return Swept(bench.name, shape, peer, ours, tuple(ratios), _core.num_threads(), _core._isa())


def sweep(bench: OpBench, count: int, peers: Sequence[str], seed: int = 0) -> Iterator[Swept]:
    """``count`` random shapes of one benchmark: the same ones for the same seed."""
    rng = np.random.default_rng([seed, zlib.crc32(bench.name.encode())])
    for _ in range(count):
        found = measured(bench, drawn(bench, rng), peers)
        if found is None:
            return
        yield found


def run(benches: Sequence[OpBench], count: int, peers: Sequence[str], seed: int) -> list[Swept]:
    """Sweeps one benchmark after the other, and prints of each how many shapes are lost, and which."""
    everything: list[Swept] = []
    print(f"{'op':<32} shapes  lost   ratio to the best peer: 5%, median, 95% of the shapes", flush=True)
    for bench in benches:
        swept = list(sweep(bench, count, peers, seed))
        if not swept:
            continue
        everything += swept
        low, middle, high = np.quantile([max(s.ratios) for s in swept], (0.05, 0.5, 0.95))
        lost = [s for s in swept if s.lost]
        print(f"{bench.name:<32} {len(swept):6} {len(lost):5}   {low:8.2f} {middle:8.2f} {high:8.2f}", flush=True)
        for s in lost:
            ratios = " ".join(f"{ratio:.2f}" for ratio in s.ratios)
            print(f"    {report.words(s.shape)}: {ratios} of {s.peer}, {report.duration(s.ours)}", flush=True)
    lost = [s for s in everything if s.lost]
    if everything:
        print(f"\n{len(everything)} shapes, {len(lost)} lost ({len(lost) / len(everything):.1%})", flush=True)
    return everything
