"""How often layers, optimizers or variables have been changed: a recorded step is valid until the count moves."""

from __future__ import annotations

from typing import Any, ClassVar


class _Changes:
    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


changes = _Changes()


class Noticed:
    """A base whose attributes count as changes when they are set, but for those in ``_unnoticed``."""

    _unnoticed: ClassVar[frozenset[str]] = frozenset()

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._unnoticed:
            changes.count += 1
        super().__setattr__(name, value)
