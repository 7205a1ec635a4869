"""The specs of every op family: ``ALL_SPECS`` is what the shared suite runs (RANVIER_SPECS names one family)."""

import os
from importlib import import_module

from ranvier.rooms import FAMILIES

FAMILIES_ASKED = [os.environ["RANVIER_SPECS"]] if os.environ.get("RANVIER_SPECS") else FAMILIES
ALL_SPECS = [spec for family in FAMILIES_ASKED for spec in import_module(f"tests.specs.{family}").SPECS]
