"""What was built, and what of it runs here."""

from __future__ import annotations

from typing import Any

from ranvier import _core

__all__ = ["build_info"]


def build_info() -> dict[str, Any]:
    """Version, compiler, instruction sets (built, usable on this processor, chosen), threads, and CUDA or why not.

    >>> import ranvier as rv
    >>> sorted(rv.build_info())
    ['compiler', 'cuda', 'isa', 'isas_built', 'isas_usable', 'threads', 'version']
    """
    facts = dict(_core._build_facts())
    reason = _core._cuda_why_not()
    here = "available" if reason is None else f"not available here: {reason}"
    facts["cuda"] = f"{facts.pop('cuda_status')}; {here}"
    return facts
