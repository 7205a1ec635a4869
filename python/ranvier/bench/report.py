"""Measured rows as text and as JSON."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ranvier.bench.harness import Row
from ranvier.bench.machine import Ceilings, describe

LOST = 0.95  # of the best peer's speed; between this and one it is a draw


def heading(ceilings: Ceilings) -> str:
    """What follows was measured on this machine, under these ceilings."""
    facts = describe()
    versions = ", ".join(f"{name} {facts[name]}" for name in ("numpy", "torch", "jax") if name in facts)
    return (
        f"{facts['processor']}, {ceilings.threads} of {facts['cores']} threads, {facts['isa']}; {versions}; "
        f"malloc {facts['malloc']}\n{ceiling_line(ceilings)}"
    )


def ceiling_line(ceilings: Ceilings) -> str:
    """The ceilings in a sentence."""
    text = f"ceilings: {ceilings.gflops:.0f} GFLOP/s (FMA loop), {ceilings.gbytes:.0f} GB/s (triad)"
    return text + (f", {ceilings.gbytes_cached:.0f} GB/s within the caches" if ceilings.gbytes_cached else "")


def duration(seconds: float) -> str:
    """Three digits and a unit."""
    scale, unit = next((s, u) for s, u in ((1e6, "us"), (1e3, "ms"), (1.0, "s")) if seconds * s < 1000 or s == 1.0)
    value = seconds * scale
    return f"{value:.{max(0, 2 - int(math.log10(max(value, 0.1))))}f} {unit}"


def words(shape: dict[str, Any]) -> str:
    """A shape as ``--shapes`` reads it, with spaces."""
    return " ".join(f"{k}={v}" for k, v in shape.items() if v != "")


def line(row: Row, ceilings: Ceilings) -> str:
    """One shape: our time, what it reaches of the ceilings, the peers' times, and the best one's over ours."""
    text = (
        f"{row.bench:<28} {words(row.shape):<52} {duration(row.seconds['ranvier']):>9} +-{row.spread['ranvier']:3.0%}"
    )
    rate = f"{row.gflops:.1f} GFLOP/s ({row.gflops / ceilings.peak(row.dtype):.0%})" if row.flops else ""
    moved = f"{row.gbytes:.1f} GB/s ({row.gbytes / ceilings.gbytes:.0%})" if row.bytes else ""
    text += f" {rate:>21} {moved:>19}"
    for peer, seconds in row.seconds.items():
        if peer != "ranvier":
            text += f"  {peer} {duration(seconds)}"
    if row.ratio is not None:
        text += f"  {row.best_peer} / ours {row.ratio:.2f}"
    return text.rstrip()


def table(rows: Sequence[Row], ceilings: Ceilings) -> str:
    """The ceilings and a line for each row."""
    return "\n".join([ceiling_line(ceilings), *(line(row, ceilings) for row in rows)])


def verdict(rows: Sequence[Row]) -> str:
    """How many shapes are won, drawn and lost against the best peer of each, and which are lost."""
    ratios = [(row, row.ratio) for row in rows if row.ratio is not None]
    if not ratios:
        return ""
    lost = [(row, ratio) for row, ratio in ratios if ratio < LOST]
    won = sum(ratio > 1 / LOST for _, ratio in ratios)
    mean = math.exp(sum(math.log(ratio) for _, ratio in ratios) / len(ratios))
    text = (
        f"beside the best peer of each of {len(ratios)} shapes: {won} ahead, "
        f"{len(ratios) - won - len(lost)} within 5%, {len(lost)} behind; geometric mean of the ratios {mean:.2f}"
    )
    for row, ratio in sorted(lost, key=lambda pair: pair[1]):
        text += f"\n  behind: {row.bench} {words(row.shape)} ({row.threads} threads, {row.dtype}): {ratio:.2f}"
    return text


def save(path: str, command: str, ceilings: Sequence[Ceilings], rows: Sequence[Any], **more: Any) -> None:
    """Everything measured, as JSON."""
    content = {
        "command": command,
        "date": time.strftime("%Y-%m-%d"),
        "machine": describe(),
        "ceilings": [asdict(c) for c in ceilings],
        "rows": [asdict(row) for row in rows],
        **more,
    }
    Path(path).write_text(json.dumps(content, indent=1) + "\n")
