"""The memory of a process and of those that it started."""

from pathlib import Path


def family_mb(pid: int) -> int:
    """Return megabytes of a process and its descendants; pages that several use count for each in part."""
    return sum(_kb(each) for each in _family(pid)) // 1024


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task").glob("*/children")
    try:
        found = [int(child) for path in children for child in path.read_text().split()]
    except OSError:
        return [pid]
    return [pid, *(other for child in found for other in _family(child))]


def _kb(pid: int) -> int:
    try:
        content = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(content.split("Pss:")[1].split()[0]) if "Pss:" in content else 0
