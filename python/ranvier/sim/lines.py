"""Source lines: the debugger's line table of the module that holds the kernel."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any


@functools.cache
def _line_table(module: str) -> Any:
    from elftools.elf.elffile import ELFFile

    elf = ELFFile(Path(module).open("rb"))  # noqa: SIM115 - kept open: pyelftools reads as it goes
    return elf.get_dwarf_info() if elf.has_dwarf_info() else None


@functools.cache
def _rows(module: str, unit_offset: int) -> list[tuple[int, str, int]]:
    """(address, file, line) of a compilation unit, in order of address."""
    dwarf = _line_table(module)
    program = dwarf.line_program_for_CU(dwarf.get_CU_at(unit_offset))
    files = program["file_entry"]
    first = 0 if program.header.version >= 5 else 1  # DWARF 5 counts files from 0
    rows = []
    for entry in program.get_entries():
        state = entry.state
        if state is not None:
            rows.append((state.address, files[state.file - first].name.decode(), state.line))
    return sorted(rows, key=lambda row: row[0])


@functools.cache
def find_line(module: str, offset: int) -> str | None:
    """``"gemm.cu:42"`` for an offset into a module; None where the module tells nothing."""
    try:
        dwarf = _line_table(module)
    except ImportError:
        return None
    if dwarf is None or (ranges := dwarf.get_aranges()) is None:
        return None
    unit = ranges.cu_offset_at_addr(offset)
    if unit is None:
        return None
    last = None
    for address, file, line in _rows(module, unit):
        if address > offset:
            break
        if line:
            last = f"{Path(file).name}:{line}"
    return last
