"""Trainer: compile, fit, evaluate and predict of a model."""

from __future__ import annotations

from typing import Any


class Trainer:
    """What a Model has besides being a Layer."""

    def __init__(self) -> None:
        self.optimizer: Any = None
