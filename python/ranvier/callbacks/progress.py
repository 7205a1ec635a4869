"""The progress bar, and the line per epoch for logs."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import Any

from tqdm import tqdm

from ranvier.callbacks.callback import Callback, Logs

_INTERVAL = 0.1  # seconds between two looks at the device


def format_logs(logs: Any) -> str:
    """``loss: 0.2513 - accuracy: 0.9251``; small values in exponent form, as Keras prints them."""
    shown = []
    for name, value in logs.items():
        if not isinstance(value, (int, float)):
            shown.append(f"{name}: {value}")
        else:
            shown.append(f"{name}: {value:.4f}" if abs(value) > 1e-3 or value == 0 else f"{name}: {value:.4e}")
    return " - ".join(shown)


def _width() -> dict[str, Any]:
    """The terminal's width as tqdm wants it told; terminals that say 0 (in containers) would show no bar at all."""
    try:
        known = os.get_terminal_size(sys.stdout.fileno()).columns > 0
    except (OSError, ValueError):
        known = False
    if known:
        return {"dynamic_ncols": True}
    size = shutil.get_terminal_size((100, 24))
    return {"ncols": size.columns, "nrows": size.lines}


class ProgressBar(Callback):
    """Shows progress: ``verbose`` 1 draws a bar with loss, metrics and samples per second, then a line per epoch.

    The bar is drawn at most ten times a second, and only then are metrics read. ``verbose`` 2, and an output that is
    no terminal, leave it out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.batches: Any = None  # the trainer's, which count samples
        self.verbose = 1
        self._bar: Any = None
        self._fitting = False

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        verbose = params.get("verbose", 1)
        self.verbose = 1 if verbose == "auto" else int(verbose)

    def on_train_begin(self, logs: Logs = None) -> None:
        self._fitting = True

    def on_train_end(self, logs: Logs = None) -> None:
        self._fitting = False

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        epochs = self.params.get("epochs", 1)
        self._start(f"Epoch {epoch + 1}/{epochs}")

    def on_test_begin(self, logs: Logs = None) -> None:
        if not self._fitting:
            self._start("Evaluating")

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._start("Predicting")

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._step(logs)

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        if not self._fitting:
            self._step(logs)

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._step(None)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._finish(logs)

    def on_test_end(self, logs: Logs = None) -> None:
        if not self._fitting:
            self._finish(logs)

    def on_predict_end(self, logs: Logs = None) -> None:
        self._finish(None)

    def close(self) -> None:
        self._fitting = False
        self._close_bar()

    def _start(self, title: str) -> None:
        self._title = title
        self._begin = self._last = time.perf_counter()
        self._seen = 0
        self._steps_ended: float | None = None
        self._bar = None
        self._live = self.verbose == 1 and sys.stdout.isatty()
        if self._live:
            self._bar = tqdm(
                total=self.batches.samples if self.batches is not None else None,
                desc=title,
                unit=" samples",
                file=sys.stdout,
                **_width(),
                mininterval=0,
                leave=False,
            )

    def _step(self, logs: Logs) -> None:
        now = time.perf_counter()
        self._steps_ended = now
        self._seen = self.batches.seen if self.batches is not None else self._seen + 1
        if self._live and now - self._last >= _INTERVAL:
            self._last = now
            self._draw(logs)

    def _draw(self, logs: Logs) -> None:
        if logs:
            self._bar.set_postfix_str(format_logs(logs), refresh=False)
        self._bar.update(self._seen - self._bar.n)

    def _finish(self, logs: Logs) -> None:
        """The bar gives way to a line that no narrow terminal cuts off."""
        self._close_bar()
        if self.verbose:
            # The rate is that of the steps alone; the seconds include validation.
            stepping = (self._steps_ended or time.perf_counter()) - self._begin
            rate = f"{self._seen / stepping:,.0f} samples/s" if stepping > 0 else ""
            parts = [self._title, f"{time.perf_counter() - self._begin:.1f}s", rate, format_logs(logs or {})]
            print(" - ".join(part for part in parts if part), flush=True)

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
