"""Everything here needs a GPU: ``pytest -m cuda`` runs it, and says why not where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

import ranvier as rv

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = rv.cuda.why_not()
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.cuda)
            if reason is not None:
                item.add_marker(pytest.mark.skip(reason=f"CUDA: {reason}"))
