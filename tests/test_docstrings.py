"""The examples in docstrings run, and every public op has one."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import ranvier as rv
from ranvier import rooms

MODULES = sorted(
    m.name for m in pkgutil.walk_packages(rv.__path__, "ranvier.") if not m.name.endswith(("_core", "__main__"))
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    rv.utils.set_random_seed(0)
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


@pytest.mark.parametrize("op", sorted(rooms.public_ops()))
def test_every_op_has_an_example(op: str) -> None:
    assert ">>>" in (getattr(rv.ops, op).__doc__ or ""), f"ops.{op} has no example in its docstring"
