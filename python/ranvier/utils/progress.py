"""Keras's progress bar, for loops of one's own (``fit`` has ``rv.callbacks.ProgressBar``)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole > 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if whole > 60 else f"{whole}s"


class Progbar:
    """Shows how far a loop is: a count, a bar, the time left, and means of values.

    ``target``: the number of steps, or None. ``verbose``: 0 nothing, 1 a bar, 2 one line at the end.
    ``stateful_metrics`` are shown as they are, others as means over steps; with ``stateless_metrics`` it is the other
    way round. The bar is drawn again in place on a terminal, at most every ``interval`` seconds. Source: Keras.

    >>> import ranvier as rv
    >>> bar = rv.utils.Progbar(4, verbose=2)
    >>> bar.update(2, [("loss", 1.0)])
    >>> bar.add(2, [("loss", 0.5)])  # doctest: +ELLIPSIS
    4/4 - ...s - ...s/step - loss: 0.5000
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Progbar: give stateful_metrics or stateless_metrics, not both")
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.stateful_metrics = None if stateless_metrics is not None else set(stateful_metrics or ())
        self.stateless_metrics = None if stateless_metrics is None else set(stateless_metrics)
        self._sums: dict[str, list[Any]] = {}  # of each value: its sum and how many steps it is of
        self._seen = 0
        self._start = time.time()
        self._after_first: float | None = None
        self._last_update = 0.0
        self._drawn = 0

    def update(
        self, current: int, values: Iterable[tuple[str, Any]] | None = None, finalize: bool | None = None
    ) -> None:
        """Goes to step ``current`` with (name, value) pairs. ``finalize``: the end; by default at the target."""
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or ():
            self._take(name, value, max(current - self._seen, 1), finalize)
        self._seen = current
        now = time.time()
        each = self._per_step(current, now)
        if self.verbose == 1 and (finalize or now - self._last_update >= self.interval):
            self._draw(current, now, each, finalize)
        elif self.verbose == 2 and finalize and self.target:
            digits = len(str(self.target))
            count = f"{current:{digits}d}/{self.target} - {now - self._start:.0f}s -{self._speed(each)}"
            print(f"{count}{self._told()}", flush=True)
        if self.verbose != 1 or finalize or now - self._last_update >= self.interval:
            self._last_update = now

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """Goes ``n`` steps on."""
        self.update(self._seen + n, values)

    def _take(self, name: str, value: Any, steps: int, finalize: bool) -> None:
        stateful = name in self.stateful_metrics if self.stateful_metrics is not None else False
        if self.stateless_metrics is not None:
            stateful = name not in self.stateless_metrics
        if stateful or finalize:
            self._sums[name] = [value, 1]
        else:
            before = self._sums.setdefault(name, [0.0, 0])
            self._sums[name] = [before[0] + value * steps, before[1] + steps]

    def _per_step(self, current: int, now: float) -> float:
        """Seconds a step, not counting the first, which builds."""
        if not current:
            return 0.0
        begun, steps = (self._after_first, current - 1) if self._after_first and current > 1 else (self._start, current)
        if current == 1:
            self._after_first = now
        return (now - begun) / steps

    def _speed(self, each: float) -> str:
        for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
            if each * factor >= 1 or each == 0 or unit == "us":
                return f" {each * factor:.0f}{unit}/{self.unit_name}"
        raise AssertionError

    def _told(self) -> str:
        text = ""
        for name, (total, steps) in self._sums.items():
            mean = float(np.mean(total)) / max(1, steps)
            text += f" - {name}: {mean:.4f}" if abs(mean) > 0.001 else f" - {name}: {mean:.4e}"
        return text

    def _draw(self, current: int, now: float, each: float, finalize: bool) -> None:
        if self.target:
            digits = len(str(self.target))
            full = min(int(self.width * current / self.target), self.width)
            bar = f"{current:{digits}d}/{self.target} {'━' * full}{'╺' * (self.width - full)}"
        else:
            bar = f"{current:7d}/Unknown"
        spent = f"{now - self._start:.0f}s"
        clock = _duration(each * (self.target - current)) if self.target and not finalize else spent
        text = f"{bar} {clock}{self._speed(each)}{self._told()}"
        in_place = sys.stdout.isatty() or "ipykernel" in sys.modules
        begin, rest = ("\r", " " * max(self._drawn - len(text), 0)) if in_place else ("", "")
        sys.stdout.write(begin + text + rest + ("\n" if finalize or not in_place else ""))
        sys.stdout.flush()
        self._drawn = len(text)
