"""Writes ``docs/keras.md``: which public names of Keras 3 Ranvier has; with ``--check`` compares it with the file.

Needs Keras and PyTorch (``pip install '.[peers]'``). A name is present with an equal signature (names, order and
defaults of its parameters), present with a difference, or absent; ``keras_reasons.py`` says why.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import inspect
import os
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from keras_reasons import ABSENT, BEHAVIOUR, PARAMETERS, PLANNED

PAGE = Path(__file__).parent.parent / "docs" / "keras.md"
FAMILIES = (
    "layers", "optimizers", "optimizers.schedules", "losses", "metrics", "callbacks", "initializers", "regularizers",
    "constraints", "utils", "applications",
)  # fmt: skip
Parameters = dict[str, Any]


def module(root: str, family: str) -> Any:
    """The module of a family, in Keras or in Ranvier."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    found = importlib.import_module(root)
    for part in family.split("."):
        found = getattr(found, part)
    return found


def public_names(family: str) -> list[str]:
    """What ``keras.<family>`` exports."""
    return sorted(name for name in dir(module("keras", family)) if not name.startswith("_"))


def parameters(item: Any) -> Parameters | None:
    """Names and defaults in order, without ``*args`` and ``**kwargs``; None for what cannot be called."""
    if not callable(item):
        return None
    found = inspect.signature(item).parameters.values()
    return {p.name: p.default for p in found if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}


def through_kwargs(item: Any) -> set[str]:
    """Parameters that a class passes on to its bases by ``**kwargs``."""
    if not isinstance(item, type):
        return set()
    names: set[str] = set()
    for base in item.__mro__:
        constructor = vars(base).get("__init__")
        if constructor is None:
            continue
        found = inspect.signature(constructor).parameters.values()
        names |= {p.name for p in found}
        if all(p.kind is not p.VAR_KEYWORD for p in found):
            break
    return names


def reason(parameter: str) -> str:
    """Why a parameter of Keras's is missing."""
    return next((why for pattern, why in PARAMETERS if re.fullmatch(pattern, parameter)), PLANNED)


def told(value: Any) -> str:
    """A default as the page shows it."""
    return "none" if value is inspect.Parameter.empty else repr(value)


def differences(theirs: Any, ours: Any) -> list[str]:
    """How our signature differs from Keras's; nothing where it is equal."""
    wanted, found = parameters(theirs), parameters(ours)
    if wanted is None or found is None:
        return []
    passed_on = through_kwargs(ours)
    by_keyword = [name for name in wanted if name not in found and name in passed_on]
    missing: dict[str, list[str]] = {}
    for name in wanted:
        if name not in found and name not in passed_on:
            missing.setdefault(reason(name), []).append(name)
    notes = []
    if by_keyword:
        notes.append(f"by keyword only: {', '.join(f'`{name}`' for name in by_keyword)}")
    notes += [f"without {', '.join(f'`{name}`' for name in names)} ({why})" for why, names in missing.items()]
    extra = [name for name in found if name not in wanted]
    if extra:
        notes.append(f"also {', '.join(f'`{name}`' for name in extra)}")
    for name in found:
        if name in wanted and not same(wanted[name], found[name]):
            notes.append(f"`{name}` defaults to {told(found[name])}, in Keras to {told(wanted[name])}")
    common = [name for name in wanted if name in found]
    if common != [name for name in found if name in wanted]:
        notes.append("another order of parameters")
    return notes


def same(a: Any, b: Any) -> bool:
    """Whether two defaults are equal (a tuple may be a list)."""
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return list(a) == list(b)
    return a is b or bool(a == b)


def absence(family: str, name: str) -> str:
    """Why Ranvier lacks a name."""
    return next((why for of, pattern, why in ABSENT if of == family and re.fullmatch(pattern, name)), PLANNED)


def compare(family: str) -> tuple[list[str], dict[str, list[str]], dict[str, str]]:
    """Names with an equal signature, names with differences, and absent ones with the reason."""
    theirs, ours = module("keras", family), module("ranvier", family)
    equal: list[str] = []
    different: dict[str, list[str]] = {}
    absent: dict[str, str] = {}
    for name in public_names(family):
        if not hasattr(ours, name):
            absent[name] = absence(family, name)
        elif notes := differences(getattr(theirs, name), getattr(ours, name)):
            different[name] = notes
        else:
            equal.append(name)
    return equal, different, absent


def section(family: str) -> str:
    """A family's part of the page."""
    equal, different, absent = compare(family)
    lines = [f"## {family}", ""]
    if equal:
        names = ", ".join(f"`{name}`" for name in equal)
        lines += textwrap.wrap(f"Equal signature ({len(equal)}): {names}", 118, break_long_words=False), ""
        lines = [line for part in lines for line in (part if isinstance(part, list) else [part])]
    if different:
        lines += [f"Present with a difference ({len(different)}):", "", "| name | difference |", "| --- | --- |"]
        lines += [f"| `{name}` | {'; '.join(notes)} |" for name, notes in different.items()] + [""]
    if absent:
        by_reason: dict[str, list[str]] = {}
        for name, why in absent.items():
            by_reason.setdefault(why, []).append(f"`{name}`")
        lines += [f"Absent ({len(absent)}):", "", "| names | why |", "| --- | --- |"]
        lines += [f"| {', '.join(names)} | {why} |" for why, names in by_reason.items()] + [""]
    behaviour = [(name, what) for of, name, what in BEHAVIOUR if of == family]
    if behaviour:
        lines += ["Different on purpose behind an equal signature:", ""]
        lines += [f"- {name}: {what}" for name, what in behaviour] + [""]
    return "\n".join(lines)


def page() -> str:
    """The whole page."""
    counts = []
    for family in FAMILIES:
        equal, different, absent = compare(family)
        counts.append(f"| {family} | {len(equal)} | {len(different)} | {len(absent)} |")
    version = importlib.import_module("keras").__version__
    head = f"""# Keras's names in Ranvier

Every public name of Keras {version}, beside ours: signatures are compared by `inspect`, numbers by the tests
(`tests/**/test_against_keras.py`). Generated by `tools/keras_table.py`; do not edit.

| family | equal signature | with a difference | absent |
| --- | ---: | ---: | ---: |
"""
    sections = "\n".join(section(family) for family in FAMILIES)
    return head + "\n".join(counts) + "\n\n" + sections.rstrip() + "\n"


def main() -> None:
    """Writes or checks the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare; exit 1 where they differ")
    check = parser.parse_args().check
    module("keras", "losses")
    text = page()
    if not check:
        PAGE.write_text(text)
        print(f"wrote {PAGE}")
        return
    committed = PAGE.read_text() if PAGE.exists() else ""
    if committed != text:
        sys.stdout.writelines(difflib.unified_diff(committed.splitlines(True), text.splitlines(True), "docs", "now"))
        sys.exit("docs/keras.md is not up to date: run python tools/keras_table.py")


if __name__ == "__main__":
    main()
