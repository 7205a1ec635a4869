"""Pictures of what was measured: the roofline, bars beside the peers, a ladder's climb. Needs matplotlib."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier.bench.harness import Row
from ranvier.bench.ladder import Height, rate
from ranvier.bench.ladder_sim import Counts
from ranvier.bench.machine import Ceilings
from ranvier.bench.report import duration, words

# Told apart by colour-blind readers too (Okabe and Ito); ours is the dark one everywhere.
COLOURS = {"ranvier": "#0b3c5d", "torch": "#e69f00", "numpy": "#56b4e9", "jax": "#009e73"}
MARKERS = {"ranvier": "o", "torch": "^", "numpy": "s", "jax": "D"}
GREY = "#666666"
ROOF_HEIGHT = 7.0  # inches, at most


def new_figure(width: float, height: float) -> Any:
    """A figure that needs no screen. Raises ImportError that says what to install."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'ranvier[plot]'") from error
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def contenders(rows: Sequence[Row]) -> list[str]:
    """Who takes part, ours first."""
    return [name for name in COLOURS if any(name in row.seconds for row in rows)]


def roofline(axes: Any, rows: Sequence[Row], ceilings: Ceilings) -> None:
    """GFLOP/s over flops per byte, log by log: below the slope memory limits, below the flat roof arithmetic does."""
    points = [row for row in rows if row.flops and row.bytes]
    peak = ceilings.peak(points[0].dtype)
    intensities = [row.flops / row.bytes for row in points]
    reached = [row.flops / s / 1e9 for row in points for s in row.seconds.values()]
    left = min(*intensities, peak / ceilings.gbytes_cached) / 2
    right = max(*intensities, peak / ceilings.gbytes) * 3
    x = np.geomspace(left, right, 200)
    axes.loglog(x, np.minimum(peak, x * ceilings.gbytes), color=GREY, linewidth=1.5)
    axes.loglog(x, np.minimum(peak, x * ceilings.gbytes_cached), color=GREY, linewidth=1, linestyle=":")
    for name in reversed(contenders(points)):
        axes.plot(
            [row.flops / row.bytes for row in points if name in row.seconds],
            [row.flops / row.seconds[name] / 1e9 for row in points if name in row.seconds],
            MARKERS[name],
            color=COLOURS[name],
            label=name,
            markersize=8 if name == "ranvier" else 6,
            markeredgecolor="white",
        )
    bottom = min(*reached, left * ceilings.gbytes) / 1.5
    axes.set(
        xlim=(left, right),
        ylim=(bottom, max(peak * 2.2, max(reached) * 1.3)),
        xlabel="flops per byte",
        ylabel="GFLOP/s",
    )
    axes.text(right / 1.1, peak * 1.08, f"FMA loop {peak:.0f} GFLOP/s", ha="right", va="bottom", color=GREY)
    for gbytes, text in ((ceilings.gbytes, "from memory"), (ceilings.gbytes_cached, "in the caches")):
        start = max(left * 1.15, bottom * 1.6 / gbytes)
        axes.text(
            start,
            start * gbytes * 1.08,
            f"triad {text}, {gbytes:.0f} GB/s",
            color=GREY,
            fontsize=8,
            rotation=np.degrees(np.arctan(gbytes)),
            va="bottom",
            rotation_mode="anchor",
            transform_rotates_text=True,
        )
    axes.set_title(f"Roofline, {ceilings.threads} thread{'s' if ceilings.threads > 1 else ''}, {points[0].dtype}")
    axes.legend(loc="lower right", frameon=False)
    axes.grid(True, which="major", color="#eeeeee")
    axes.set_axisbelow(True)


def _what(row: Row) -> str:
    return f"{row.bench}\n{words(row.shape)}"


def bars(axes: Any, rows: Sequence[Row]) -> None:
    """For each shape one bar per contender: its speed beside ours, which is one; our time stands beside the name."""
    names = contenders(rows)
    height = 0.8 / len(names)
    middle = np.arange(len(rows))[::-1]
    longest = max(row.seconds["ranvier"] / s for row in rows for s in row.seconds.values())
    for i, name in enumerate(names):
        here = [(y, row) for y, row in zip(middle, rows, strict=True) if name in row.seconds]
        speeds = [row.seconds["ranvier"] / row.seconds[name] for _, row in here]
        places = [y + 0.4 - height * (i + 0.5) for y, _ in here]
        axes.barh(places, speeds, height * 0.92, color=COLOURS[name], label=name)
        for y, speed, (_, row) in zip(places, speeds, here, strict=True):
            text = duration(row.seconds[name]) if name == "ranvier" else f"{duration(row.seconds[name])}  ({speed:.2f})"
            axes.text(speed + longest * 0.01, y, text, va="center", fontsize=7.5)
    axes.axvline(1, color=COLOURS["ranvier"], linewidth=0.8)
    axes.set_yticks(middle, [_what(row) for row in rows], fontsize=8)
    axes.set(xlim=(0, longest * 1.25), ylim=(-0.6, len(rows) - 0.4), xlabel="speed beside ours (longer is faster)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.09 * 6 / max(6.0, len(rows))), ncols=4, frameon=False)


def _foot(figure: Any, text: str, size: int) -> None:
    """What was run, in as many lines as it takes."""
    letters = int(figure.get_figwidth() * 72 / (0.62 * size))  # a letter is about 0.6 of its size wide
    figure.supxlabel("\n".join(textwrap.wrap(text, letters)), fontsize=size, color=GREY)


def picture(rows: Sequence[Row], ceilings: Sequence[Ceilings], path: str, subtitle: str) -> None:
    """One row of the picture per number of threads: the roofline, where flops are counted, and the bars."""
    groups = [(c, [row for row in rows if row.threads == c.threads]) for c in ceilings]
    groups = [(c, group) for c, group in groups if group]
    with_roof = any(row.flops and row.bytes for row in rows)
    tall = [max(5.0, 1.0 + 0.62 * len(group)) for _, group in groups]
    figure = new_figure(13.5 if with_roof else 8.5, sum(tall) + 0.4)
    grid = figure.add_gridspec(len(groups), 2 if with_roof else 1, height_ratios=tall)
    for i, (roof, group) in enumerate(groups):
        counted = [row for row in group if row.flops and row.bytes]
        if counted:  # as wide as high, beside however many bars
            rest = max(tall[i] - ROOF_HEIGHT, 1e-3)
            place = grid[i, 0].subgridspec(2, 1, height_ratios=[tall[i] - rest, rest])[0]
            roofline(figure.add_subplot(place), counted, roof)
        axes = figure.add_subplot(grid[i, -1])
        bars(axes, group)
        threads = f"{roof.threads} thread{'s' if roof.threads > 1 else ''}"
        axes.set_title(f"Ranvier beside its peers, {threads}, {group[0].dtype}")
    _foot(figure, subtitle, 8)
    figure.savefig(path)


def climb(climbs: Sequence[tuple[Sequence[Height], Ceilings]], path: str, subtitle: str) -> None:
    """One panel per ladder and shape: a bar per step, log scale, with its gain over the step before."""
    figure = new_figure(8.5, sum(1.5 + 0.36 * len(heights) for heights, _ in climbs))
    sizes = [len(heights) + 2 for heights, _ in climbs]
    for axes, (heights, roof) in zip(
        figure.subplots(len(climbs), 1, squeeze=False, height_ratios=sizes)[:, 0], climbs, strict=True
    ):
        steps = [height for height in heights if height.name[0].isdigit()]
        values = [rate(height, roof)[0] for height in heights]
        unit = rate(heights[0], roof)[1]
        ceiling = roof.gflops if unit == "GFLOP/s" else roof.gbytes
        middle = np.arange(len(heights))[::-1]
        colours = [COLOURS.get(height.name, COLOURS["ranvier"]) for height in heights]
        faint = [1.0 if height in steps or height.name in COLOURS else 0.65 for height in heights]
        for y, value, colour, alpha in zip(middle, values, colours, faint, strict=True):
            axes.barh(y, value, 0.72, color=colour, alpha=alpha)
        for i, (y, value, height) in enumerate(zip(middle, values, heights, strict=True)):
            text = f"{value:.3g}" + (f"   x{height.gain:.1f}" if 0 < i < len(steps) else "")
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            axes.text(value * 1.04, y, text, va="center", fontsize=8, bbox=box)
        axes.axvline(ceiling, color=GREY, linewidth=1, linestyle=":")
        axes.text(
            ceiling * 0.98, -0.75, f"ceiling {ceiling:.0f} {unit}", color=GREY, fontsize=7.5, va="top", ha="right"
        )
        axes.set_xscale("log")
        axes.set_yticks(middle, [height.name for height in heights], fontsize=9)
        axes.set(xlim=(min(values) / 2, max(ceiling, *values) * 2.2), ylim=(-1.2, len(heights) - 0.4), xlabel=unit)
        threads = f"{roof.threads} thread{'s' if roof.threads > 1 else ''}"
        axes.set_title(f"{heights[0].ladder}: {words(heights[0].shape)}, {threads}", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    _foot(figure, subtitle, 7)
    figure.savefig(path)


def counts(climbs: Sequence[Sequence[Counts]], path: str, subtitle: str) -> None:
    """One row per ladder on the simulator: sectors, passes over shared memory, lanes at work, step by step."""
    figure = new_figure(12, sum(1.3 + 0.32 * len(rows) for rows in climbs))
    panels = figure.subplots(len(climbs), 3, squeeze=False, height_ratios=[len(rows) + 2 for rows in climbs])
    for row_of_panels, rows in zip(panels, climbs, strict=True):
        middle = np.arange(len(rows))[::-1]
        first = rows[0]
        measures: tuple[tuple[str, list[float], str], ...] = (
            ("sectors of 32 bytes moved", [row.sectors for row in rows], COLOURS["ranvier"]),
            ("passes over shared memory", [row.wavefronts for row in rows], COLOURS["torch"]),
            ("lanes at work in a request, of 32", [row.lanes for row in rows], COLOURS["jax"]),
        )
        for axes, (title, values, colour) in zip(row_of_panels, measures, strict=True):
            axes.barh(middle, values, 0.7, color=colour)
            most, wide = max([*values, 1]), max(values) > 50 * max(min(values), 1) and min(values) > 0
            for y, value in zip(middle, values, strict=True):
                text = f"{value:.1f}" if isinstance(value, float) else f"{value:,}"
                axes.text(value * 1.1 if wide else value + most * 0.02, y, text, va="center", fontsize=8)
            if wide:
                axes.set_xscale("log")
            axes.set(xlim=(first.least / 4, most * 8) if wide else (0, most * 1.3), ylim=(-0.6, len(rows) - 0.4))
            axes.set_yticks(middle, [row.name for row in rows] if axes is row_of_panels[0] else [""] * len(rows))
            axes.set_xticks([])
            axes.minorticks_off()
            axes.set_title(title + (" (log scale)" if wide else ""), fontsize=9, loc="left")
            axes.spines[["top", "right", "bottom"]].set_visible(False)
            axes.tick_params(labelsize=8, length=0)
        row_of_panels[0].axvline(first.least, color=GREY, linewidth=1, linestyle=":")
        heading = row_of_panels[0].get_title(loc="left")
        row_of_panels[0].set_title(
            f"{first.ladder}, {words(first.shape)}\n{heading}; dots: the least", fontsize=9, loc="left"
        )
    _foot(figure, subtitle, 7)
    figure.savefig(path)
