"""The specs of every op family: ``ALL_SPECS`` is what the shared suite runs."""

from importlib import import_module

from ranvier.rooms import FAMILIES

ALL_SPECS = [spec for family in FAMILIES for spec in import_module(f"tests.specs.{family}").SPECS]
