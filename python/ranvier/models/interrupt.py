"""Ctrl-C in the middle of training."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """Ctrl-C during a step waits for its end, so that weights and optimizer agree; elsewhere it strikes at once.

    A second Ctrl-C does not wait. Handlers of the user's own, and other threads than the main one, are left alone.
    """

    def __init__(self) -> None:
        self.stepping = False
        self._asked = False
        self._ours = False

    def __enter__(self) -> Interrupt:
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)
            self._ours = True
        return self

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.stepping or self._asked:
            raise KeyboardInterrupt
        self._asked = True

    def step(self, function: Callable[..., Any], *args: Any) -> Any:
        """Runs one step whole, then raises KeyboardInterrupt if it was asked for."""
        self.stepping = True
        try:
            result = function(*args)
        finally:
            self.stepping = False
        if self._asked:
            self._asked = False
            raise KeyboardInterrupt
        return result

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
