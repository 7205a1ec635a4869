"""The table of Keras's names: finished families have every name with an equal signature, and the tool sees faults."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.peers import keras_or_skip

TOOL = Path(__file__).parent.parent / "tools" / "keras_table.py"
FINISHED = ("losses", "metrics", "initializers", "regularizers", "constraints", "optimizers.schedules")


@pytest.fixture(scope="module")
def table() -> Any:
    keras_or_skip()
    found = importlib.util.spec_from_file_location("keras_table", TOOL)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["keras_table"] = module
    found.loader.exec_module(module)
    return module


def test_applications_are_keras_s(table: Any) -> None:
    equal, different, absent = table.compare("applications")
    assert equal and not different and table.PLANNED not in absent.values()


@pytest.mark.parametrize("family", FINISHED)
def test_finished_families_are_keras_s(table: Any, family: str) -> None:
    equal, different, absent = table.compare(family)
    assert equal and not different and not absent


def test_what_utils_lacks_has_a_reason(table: Any) -> None:
    _, different, absent = table.compare("utils")
    without = {name for name, why in absent.items() if why == table.PLANNED}
    assert not different
    # These come with the data pipelines.
    assert without <= {
        "image_dataset_from_directory", "text_dataset_from_directory",
    }  # fmt: skip


def test_every_reason_is_used_for_a_name_of_keras(table: Any) -> None:
    import re

    for family, pattern, why in table.ABSENT:
        assert any(re.fullmatch(pattern, name) for name in table.public_names(family)), (family, pattern, why)


def test_differences_are_seen(table: Any) -> None:
    def theirs(a: Any, b: int = 1, c: Any = (1, 2), lora_rank: Any = None) -> None: ...

    def alike(a: Any, b: int = 1, c: Any = (1, 2), lora_rank: Any = None, **kwargs: Any) -> None: ...

    def unlike(a: Any, c: Any = [1, 2], b: int = 2, d: Any = None) -> None: ...  # noqa: B006

    assert table.differences(theirs, alike) == []
    assert table.differences(theirs, unlike) == [
        "without `lora_rank` (no low-rank adaptation)",
        "also `d`",
        "`b` defaults to 2, in Keras to 1",
        "another order of parameters",
    ]
