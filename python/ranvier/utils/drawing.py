"""Drawings of models by matplotlib, where Graphviz is not installed: layers in ranks, edges between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

HEAD, FONT = 10, 8  # points
LINE, PAD, GAP = 0.19, 0.12, 0.38  # inches: height of a line, around a text, between ranks
WIDTH_OF_CHARACTER = 0.082  # inches, of the wider font


@dataclass
class Box:
    """A layer: its lines of text, the first white on black, and what it reads."""

    lines: list[str]
    reads: list[int] = field(default_factory=list)
    frozen: bool = False
    group: str = ""  # the model inside which it stands
    rank: int = 0
    place: float = 0.0
    through: bool = False  # no layer: where an arrow passes a rank
    wide: float = 0.0  # the size of a passage
    high: float = 0.0

    @property
    def width(self) -> float:
        return self.wide if self.through else max(len(line) for line in self.lines) * WIDTH_OF_CHARACTER + 2 * PAD

    @property
    def height(self) -> float:
        return self.high if self.through else len(self.lines) * LINE + (PAD if len(self.lines) > 1 else PAD / 2)


def _with_passages(boxes: list[Box]) -> None:
    """A place in each rank that an arrow passes, so that it goes between the boxes there and not behind them."""
    for box in list(boxes):
        for i, read in enumerate(box.reads):
            for rank in range(boxes[read].rank + 1, box.rank):
                boxes.append(Box([], [read], rank=rank, through=True))
                read = len(boxes) - 1
            box.reads[i] = read


def _ranked(boxes: list[Box]) -> list[list[Box]]:
    """Boxes and passages by the longest way to them, each rank in the order of the means of what its boxes read."""
    for _ in boxes:  # as many rounds as the longest way can have
        moved = False
        for box in boxes:
            rank = max((boxes[i].rank + 1 for i in box.reads), default=0)
            if rank > box.rank:
                box.rank, moved = rank, True
        if not moved:
            break
    for box in boxes:  # an input stands just above its first reader
        if not box.reads:
            readers = [other.rank for other in boxes if any(boxes[i] is box for i in other.reads)]
            box.rank = min(readers, default=1) - 1
    _with_passages(boxes)
    ranks: list[list[Box]] = [[] for _ in range(max(box.rank for box in boxes) + 1)]
    for box in boxes:
        ranks[box.rank].append(box)
    for row in ranks:
        row.sort(key=lambda box: _mean([boxes[i].place for i in box.reads], box.place))
        left = -sum(box.width + GAP for box in row) / 2
        for box in row:
            box.place = left + (box.width + GAP) / 2
            left += box.width + GAP
    return ranks


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def draw(boxes: list[Box], path: str, extension: str, rankdir: str, dpi: int) -> None:
    """Draws boxes and arrows into a file. ``rankdir``: "TB" (downwards) or "LR"."""
    from matplotlib.figure import Figure

    ranks = _ranked(boxes)
    sideways = rankdir in ("LR", "RL")
    centres = _places(boxes, ranks, sideways)
    left = min(x - b.width / 2 for b, (x, _) in zip(boxes, centres, strict=True)) - GAP
    right = max(x + b.width / 2 for b, (x, _) in zip(boxes, centres, strict=True)) + GAP
    top = max(y + b.height / 2 for b, (_, y) in zip(boxes, centres, strict=True)) + GAP
    bottom = min(y - b.height / 2 for b, (_, y) in zip(boxes, centres, strict=True)) - GAP
    width, height = right - left, top - bottom
    figure = Figure(figsize=(width, height), dpi=min(dpi, int(60_000 / max(width, height, 1))))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.axis("off")
    _draw_groups(axes, boxes, centres)
    for box, centre in zip(boxes, centres, strict=True):
        for source in box.reads:
            _draw_edge(axes, (boxes[source], centres[source]), (box, centre), sideways)
    for box, (x, y) in zip(boxes, centres, strict=True):
        if box.through:
            ends = [x - box.wide / 2, x + box.wide / 2], [y - box.high / 2, y + box.high / 2]
            axes.plot(*ends, color="black", linewidth=1.1, zorder=2)
        else:
            _draw_box(axes, box, x, y)
    figure.savefig(path, format=extension)


def _places(boxes: Sequence[Box], ranks: list[list[Box]], sideways: bool) -> list[tuple[float, float]]:
    """The middle of each box, in inches."""
    along, found = 0.0, {}
    for rank in ranks:
        depth = max((b.width if sideways else b.height) for b in rank) if rank else 0.0
        across = -sum((b.height if sideways else b.width) + GAP for b in rank) / 2
        for box in rank:
            box.wide, box.high = (depth, 0.0) if sideways else (0.0, depth)
            size = (box.height if sideways else box.width) + GAP
            middle = across + size / 2 if sideways else box.place
            found[id(box)] = (along + depth / 2, -middle) if sideways else (middle, -along - depth / 2)
            across += size
        along += depth + GAP
    return [found[id(box)] for box in boxes]


def _draw_box(axes: Any, box: Box, x: float, y: float) -> None:
    from matplotlib.patches import Rectangle

    low, high = y - box.height / 2, y + box.height / 2
    head = LINE + PAD / 2
    corner = x - box.width / 2
    axes.add_patch(Rectangle((corner, low), box.width, box.height, facecolor="white", edgecolor="black", zorder=3))
    colour = "firebrick" if box.frozen else "black"
    axes.add_patch(Rectangle((corner, high - head), box.width, head, facecolor=colour, edgecolor="black", zorder=4))
    for place, line in enumerate(box.lines):
        middle = high - head / 2 if place == 0 else high - head - (place - 0.5) * LINE
        axes.text(
            x, middle, line, ha="center", va="center", zorder=5, family="DejaVu Sans",
            fontsize=HEAD if place == 0 else FONT, color="white" if place == 0 else "black",
            weight="bold" if place == 0 else "normal", parse_math=False,
        )  # fmt: skip


def _draw_edge(axes: Any, source: tuple[Box, Any], target: tuple[Box, Any], sideways: bool) -> None:
    """From the end of one box to the beginning of the other, with a head where a layer is."""
    from matplotlib.patches import FancyArrowPatch

    (first, (x, y)), (second, (u, v)) = source, target
    if sideways:
        begin, end = (x + first.width / 2, y), (u - second.width / 2, v)
    else:
        begin, end = (x, y - first.height / 2), (u, v + second.height / 2)
    style = "-" if second.through else "-|>"
    axes.add_patch(
        FancyArrowPatch(begin, end, arrowstyle=style, mutation_scale=9, lw=1.1, color="black", shrinkA=0, shrinkB=0)
    )


def _draw_groups(axes: Any, boxes: Sequence[Box], centres: Sequence[tuple[float, float]]) -> None:
    """A dashed frame around the layers of each model inside."""
    from matplotlib.patches import Rectangle

    for group in sorted({box.group for box in boxes if box.group and not box.through}):
        inside = [(b, c) for b, c in zip(boxes, centres, strict=True) if b.group == group]
        left = min(x - b.width / 2 for b, (x, _) in inside) - PAD
        right = max(x + b.width / 2 for b, (x, _) in inside) + PAD
        low = min(y - b.height / 2 for b, (_, y) in inside) - PAD
        high = max(y + b.height / 2 for b, (_, y) in inside) + PAD
        frame = Rectangle((left, low), right - left, high - low, fill=False, linestyle="--", edgecolor="grey", zorder=1)
        axes.add_patch(frame)
        axes.text(
            left + 0.03, high + 0.02, group, fontsize=FONT, color="grey", ha="left", va="bottom", parse_math=False
        )
