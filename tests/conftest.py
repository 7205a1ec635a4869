"""Hypothesis profiles, and the state that tests may change and must find again."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

import ranvier as rv
from ranvier import _core

# ci: derandomised, so that a red run repeats; deep: for a night; small: under sanitizers, where all is slow.
_common = {"deadline": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("ci", max_examples=20, derandomize=True, **_common)
settings.register_profile("small", max_examples=5, derandomize=True, **_common)
settings.register_profile("deep", max_examples=500, **_common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def restore_runtime() -> Iterator[None]:
    isa, threads, device = _core._isa(), rv.num_threads(), rv.get_device()
    yield
    _core._set_isa(isa)
    rv.set_num_threads(threads)
    rv.set_device(device)
