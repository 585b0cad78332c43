"""One comparison: seconds of both sides taken in turns, the ratio, and the peak memory of ours."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPEATS = 3


def compare(
    work: str,
    ours: Callable[[], object],
    peer: Callable[[], object],
    *,
    peer_name: str,
    peer_version: str,
    goal: float,
    same_result: bool,
    repeats: int = REPEATS,
) -> dict[str, Any]:
    """Return one row of the report: medians, the peer's seconds over ours, and the megabytes ours peaked at.

    Both must have been called once before, so that neither compiles or reads its libraries here. They are
    timed in turns: other work on the machine hits both alike. The peak is that of the whole process while
    ours runs, the input and what the peer left behind included: never too small.
    """
    ours_s: list[float] = []
    peer_s: list[float] = []
    for _ in range(repeats):
        for call, seconds in ((ours, ours_s), (peer, peer_s)):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
    mine, theirs = statistics.median(ours_s), statistics.median(peer_s)
    return {
        "work": work,
        "ours_s": round(mine, 5),
        "peer": peer_name,
        "peer_version": peer_version,
        "peer_s": round(theirs, 4),
        "ratio": round(theirs / mine, 1),
        "goal": goal,
        "same_result": same_result,
        "ours_peak_mb": peak_mb(ours),
    }


def peak_mb(call: Callable[[], object]) -> int | None:
    """Return the highest resident memory of this process during a call, None where the system tells none."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        call()
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def against_goal(
    work: str, call: Callable[[], object], goal_ms: float, repeats: int = REPEATS
) -> dict[str, Any]:
    """Return one row of the report: the median and the slowest of some calls, after one that is not timed."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1000)
    return judged(work, times, goal_ms)


def judged(work: str, times_ms: list[float], goal_ms: float) -> dict[str, Any]:
    """Return one row of the report for times that were taken."""
    median = statistics.median(times_ms)
    return {
        "work": work, "median_ms": round(median, 1), "slowest_ms": round(max(times_ms), 1),
        "goal_ms": goal_ms, "met": median < goal_ms,
    }  # fmt: skip
