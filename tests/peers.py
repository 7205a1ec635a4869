"""Other libraries that tests compare with, where they are installed."""

from __future__ import annotations

import os
from typing import Any

import pytest


def keras_or_skip() -> Any:
    """Keras 3 on PyTorch; skips the test where either is missing."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras", reason="Keras 3 is not installed")
