"""What the kernel knows of a process: its memory, and the CPU time of it and of its children."""

import os
from pathlib import Path
from typing import Final

_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
_KIB: Final = 1024


def rss_bytes(pid: int) -> int:
    """Return the memory that a process has in RAM now."""
    return _status(pid, "VmRSS")


def peak_rss_bytes(pid: int) -> int:
    """Return the most that it ever had."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * _KIB
    return 0


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, its threads and the children it has waited for."""
    fields = _stat(pid)
    return sum(int(field) for field in fields[11:15]) / _TICKS_A_SECOND if fields else 0.0


def tree_cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and of every process below it, the ended ones too."""
    return sum(cpu_seconds(one) for one in (pid, *_below(pid)))


def _below(pid: int) -> list[int]:
    parents = {
        int(entry.name): int(fields[1])
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and (fields := _stat(int(entry.name)))
    }
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def _stat(pid: int) -> list[str]:
    """Return the fields after the name, which may hold spaces; empty for a process that is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()
