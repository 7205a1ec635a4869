"""Which lane of a warp touches which address, drawn: ``rv.sim.show``. Needs ``pip install 'ranvier[plot]'``."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from ranvier.sim.counting import Request, Trace, _block_of, last_trace

WORD, SECTOR, ROW = 4, 32, 128  # bytes: of a bank, of a sector, of a drawn row (32 banks, 4 sectors)
WORDS = ROW // WORD
# Told apart by colour-blind readers too (Okabe and Ito), and lanes by their numbers.
WASTED, CONFLICT, EDGE, EMPTY = "#f5d9a8", "#d55e00", "#555555", "#f4f4f4"
MOST_PANELS = 12


def show(
    kernel: str,
    block: int | tuple[int, ...] | None = None,
    line: int | str | None = None,
    *,
    warp: int = 0,
    time: int = 0,
    trace: Trace | None = None,
    path: str | os.PathLike[str] | None = None,
) -> Any:
    """Draws which lane of a warp touches which address, for each access of a line; returns the matplotlib figure.

    Global memory as sectors of 32 bytes, four a row, with what is moved and not asked for; shared memory as 32 banks,
    with those marked that must be read more than once. ``kernel`` is a name of the trace, or a part of one that no
    other has; ``line`` a number or ``"file.cu:42"`` (None: every line that touches memory); ``block`` that of
    ``rv.sim.trace(block=...)``; ``warp`` counts within the block, and ``time`` how often the warp had passed the line
    before. ``trace``: None means the one that ended last. With ``path`` the picture is written there.

    Raises ValueError where the trace has nothing of the kind, saying what it has, ImportError without matplotlib.

    >>> import numpy as np, ranvier as rv
    >>> with rv.device("sim"), rv.sim.trace():
    ...     y = rv.ops.softmax(rv.Tensor(np.ones((2, 64), "float32")))
    >>> figure = rv.sim.show("softmax_rows")  # doctest: +SKIP
    """
    from ranvier.bench.plot import new_figure

    seen = trace if trace is not None else last_trace()
    if seen is None:
        raise ValueError("show: nothing was traced yet; run kernels within `with rv.sim.trace():` first")
    requests = select(seen, kernel, block, line, warp, time)
    tables = [(request, by_row(request)) for request in requests]
    spans = [
        max(_heights(list(rows)).values()) + (2.5 if request.space == "shared" else 1.25) for request, rows in tables
    ]
    figure = new_figure(13, 0.27 * sum(spans) + 0.68 * len(tables) + 0.75)
    panels = figure.subplots(len(tables), 1, squeeze=False, height_ratios=spans)[:, 0]
    for axes, (request, rows) in zip(panels, tables, strict=True):
        (_draw_shared if request.space == "shared" else _draw_global)(axes, request, rows)
    x, y, z = seen.block
    passed = f", time {time}" if time else ""
    figure.suptitle(f"{requests[0].kernel}: warp {warp} of block ({x},{y},{z}){passed}", fontsize=14)
    _legend(figure, tables)
    if path is not None:
        figure.savefig(os.fspath(path))
    return figure


def select(seen: Trace, kernel: str, block: Any, line: int | str | None, warp: int, time: int) -> list[Request]:
    """The requests that were asked for, in the order of the source."""
    kernels = sorted({request.kernel for request in seen.requests})
    matching = [name for name in kernels if name == kernel] or [name for name in kernels if kernel in name]
    if block is not None and _block_of(block) != seen.block:
        raise ValueError(f"show: the trace kept block {seen.block}; run the kernel in rv.sim.trace(block={block!r})")
    if len(matching) != 1:
        which = "matches several" if matching else "is not among those that touched memory"
        raise ValueError(
            f"show: kernel {kernel!r} {which} in block {seen.block}: {', '.join(matching or kernels) or 'none'}"
        )
    here = [request for request in seen.requests if request.kernel == matching[0]]
    places = sorted({request.place for request in here}, key=_place)
    wanted = [p for p in places if line is None or p == line or p.rpartition(":")[2] == str(line)]
    if not wanted:
        raise ValueError(
            f"show: line {line} of {matching[0]} touches no memory in block {seen.block}; {', '.join(places)} do"
        )
    here = [request for request in here if request.place in wanted]
    found = [request for request in here if (request.warp, request.time) == (warp, time)]
    if not found:
        warps = sorted({request.warp for request in here})
        times = max(request.time for request in here) + 1
        raise ValueError(
            f"show: warp {warp}, time {time} was not kept; warps {warps[0]} to {warps[-1]} passed up to {times} times"
        )
    if len(found) > MOST_PANELS:
        raise ValueError(f"show: {len(found)} accesses are too many for a picture; choose a line: {', '.join(wanted)}")
    return sorted(found, key=lambda request: (_place(request.place), request.code))


def _place(place: str) -> tuple[str, int]:
    file, _, number = place.rpartition(":")
    return file, int(number) if number.isdigit() else 0


# --- counting, as the simulator does ---


def by_row(request: Request) -> dict[int, dict[int, list[int]]]:
    """Row of 128 bytes -> word of that row -> lanes that touch it."""
    rows: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for lane, offset in sorted(zip(request.lanes, request.offsets, strict=True)):
        for word in range(offset // WORD, (offset + request.bytes - 1) // WORD + 1):
            rows[word // WORDS][word % WORDS].append(lane)
    return {row: dict(rows[row]) for row in sorted(rows)}


def sectors_of(request: Request) -> set[int]:
    """The numbers of the 32-byte sectors that the request touches."""
    return {
        s for offset in request.offsets for s in range(offset // SECTOR, (offset + request.bytes - 1) // SECTOR + 1)
    }


def passes_of(request: Request) -> list[list[int]]:
    """For each part of the warp, and each of the 32 banks, the passes that it needs: different words of that bank.

    All 32 lanes come together for 4 bytes each, halves of a warp for 8, quarters for 16.
    """
    words = max(1, request.bytes // WORD)
    asked: dict[int, set[int]] = defaultdict(set)  # by part of the warp
    for lane, offset in zip(request.lanes, request.offsets, strict=True):
        asked[lane * words // WORDS] |= {offset // WORD + w for w in range(words)}
    return [[sum(word % WORDS == bank for word in part) for bank in range(WORDS)] for part in asked.values()]


def wavefronts_of(request: Request) -> int:
    """The passes over the banks that the request takes."""
    return sum(max(banks) for banks in passes_of(request))


# --- drawing ---


def _lane_text(lanes: Sequence[int]) -> str:
    if len(lanes) == 1:
        return str(lanes[0])
    if list(lanes) == list(range(lanes[0], lanes[-1] + 1)):
        return f"{lanes[0]}\N{EN DASH}{lanes[-1]}"
    return f"{len(lanes)} l."


def _colour(lane: int) -> tuple[Any, str]:
    from matplotlib import colormaps

    shade = colormaps["cividis"](0.12 + 0.85 * lane / 31)
    return shade, "white" if lane < 15 else "black"


def _heights(rows: Sequence[int]) -> dict[int, float]:
    """Where each row is drawn; a gap where addresses are left out."""
    at, y = {}, 0.0
    for i, row in enumerate(rows):
        y += 0.0 if i == 0 else 1.0 if row == rows[i - 1] + 1 else 1.3
        at[row] = y
    return at


def _cell(axes: Any, x: float, y: float, colour: Any, width: float = 1, **more: Any) -> None:
    from matplotlib.patches import Rectangle

    more = {"edgecolor": "white", "linewidth": 0.8, **more}
    axes.add_patch(Rectangle((x, y), width, 1, facecolor=colour, **more))


def _draw_rows(axes: Any, rows: dict[int, dict[int, list[int]]]) -> dict[int, float]:
    """The words that lanes touch, with the lanes' numbers."""
    at = _heights(list(rows))
    for row, words in rows.items():
        for word, lanes in words.items():
            colour, ink = _colour(lanes[0])
            _cell(axes, word, at[row], colour)
            text = _lane_text(lanes)
            axes.text(
                word + 0.5,
                at[row] + 0.53,
                text,
                color=ink,
                fontsize=9 if len(text) < 3 else 7,
                ha="center",
                va="center",
            )
    return at


def _frame(axes: Any, request: Request, at: dict[int, float], top: float, title: str) -> None:
    axes.set(xlim=(-0.15, WORDS + 0.15), ylim=(max(at.values()) + 1.15, top))
    axes.set_yticks([y + 0.5 for y in at.values()], [f"byte {row * ROW}" for row in at], fontsize=8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=11, loc="left", pad=6)


def _what(request: Request) -> str:
    lanes = f"{len(request.lanes)} lane{'s' if len(request.lanes) > 1 else ''} x {request.bytes} bytes"
    where = f"of {request.object}" if request.object else "of an array"
    return f"{request.place}   {request.space} {request.access} {where} ({request.object_bytes:,} bytes), {lanes}:"


def _draw_global(axes: Any, request: Request, rows: dict[int, dict[int, list[int]]]) -> None:
    moved = sectors_of(request)
    at = _heights(list(rows))
    for row, y in at.items():
        for sector in range(ROW // SECTOR):
            touched = row * (ROW // SECTOR) + sector in moved
            width = SECTOR // WORD
            colour, hatch = (WASTED, "////") if touched else (EMPTY, None)
            _cell(axes, sector * width, y, colour, width, hatch=hatch)
    _draw_rows(axes, rows)
    for row, y in at.items():
        for sector in range(ROW // SECTOR):
            if row * (ROW // SECTOR) + sector in moved:
                _cell(axes, sector * 8, y, "none", 8, edgecolor=EDGE, linewidth=1.6, zorder=3)
    asked = sum(len(words) for words in rows.values()) * WORD
    text = f"{len(moved)} sector{'s' if len(moved) > 1 else ''}"
    least = -(-asked // SECTOR)
    text += f", {least} would do" if least < len(moved) else ""
    _frame(axes, request, at, -0.1, f"{_what(request)} {text}")
    axes.xaxis.tick_top()
    axes.set_xticks([4, 12, 20, 28], [f"+{b} to {b + 31}" for b in (0, 32, 64, 96)], fontsize=8)


def _draw_shared(axes: Any, request: Request, rows: dict[int, dict[int, list[int]]]) -> None:
    passes = [max(of_bank) for of_bank in zip(*passes_of(request), strict=True)]
    at = _heights(list(rows))
    bottom = max(at.values()) + 1
    for y in at.values():
        _cell(axes, 0, y, EMPTY, WORDS)
    axes.vlines(range(1, WORDS), 0, bottom, color="white", linewidth=0.8)
    _draw_rows(axes, rows)
    for bank, needed in enumerate(passes):
        if needed > 1:
            _cell(axes, bank, -1.25, CONFLICT)
            axes.text(
                bank + 0.5, -0.72, str(needed), color="white", fontsize=9, weight="bold", ha="center", va="center"
            )
            axes.plot([bank, bank, bank + 1, bank + 1], [0, bottom, bottom, 0], color=CONFLICT, linewidth=1.8, zorder=3)
        elif needed == 1:
            axes.text(bank + 0.5, -0.72, "1", color=EDGE, fontsize=9, ha="center", va="center")
    axes.text(-0.4, -0.72, "passes", color=EDGE, fontsize=8, ha="right", va="center")
    axes.text(-0.4, -1.75, "bank", color=EDGE, fontsize=8, ha="right", va="center")
    count = wavefronts_of(request)
    parts = {8: ", in halves of the warp", 16: ", in quarters of the warp"}.get(request.bytes, "")
    _frame(axes, request, at, -1.35, f"{_what(request)} {count} wavefront{'s' if count > 1 else ''}{parts}")
    axes.xaxis.tick_top()
    axes.set_xticks([bank + 0.5 for bank in range(WORDS)], [str(bank) for bank in range(WORDS)], fontsize=8)


def _legend(figure: Any, tables: Sequence[tuple[Request, Any]]) -> None:
    from matplotlib.patches import Patch

    entries = [Patch(facecolor=_colour(8)[0], label="4 bytes, with the number of the lane that asks for them")]
    moved = [(request, rows) for request, rows in tables if request.space == "global"]
    if any(len(sectors_of(request)) * SECTOR > sum(map(len, rows.values())) * WORD for request, rows in moved):
        entries.append(Patch(facecolor=WASTED, hatch="////", edgecolor="white", label="moved, not asked for"))
    if moved:
        entries.append(
            Patch(facecolor="none", edgecolor=EDGE, linewidth=1.6, label="a sector that is moved (32 bytes)")
        )
    shared = [request for request, _ in tables if request.space == "shared"]
    if any(max(banks) > 1 for request in shared for banks in passes_of(request)):
        entries.append(Patch(facecolor=CONFLICT, label="bank conflict: one pass after the other"))
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries), frameon=False, fontsize=9)
