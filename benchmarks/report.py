"""One form for every row, one table of them, and what got worse since the results that were committed.

A row says what was done (`work`), the peer and how many times as long it took (`ratio`), the ratio wanted
(`goal`), whether both gave the same (`same_result`). Where a fixed limit stands instead of a peer, it is the
peer: ratio 2.0 is half of what is allowed, and nothing is compared (`same_result` None).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gridmgmt.cli.printing import new_table

RESULTS = Path(__file__).with_name("results.json")
# Below the lowest ratio that was ever kept by more than this share is no noise.
NOISE = 0.2

Row = dict[str, Any]
# Where a limit stands: the key of what was measured, of the limit, and the unit.
_LIMITS = (("p95_ms", "goal_ms", "ms"), ("median_ms", "goal_ms", "ms"), ("kb", "goal_kb", "KB"),
           ("percent", "goal_percent", "%"))  # fmt: skip


def uniform(row: Row) -> Row:
    """Return a row in the one form; what else a benchmark told of it stays behind."""
    found = dict(row)
    if "peer" not in found:
        measured, limit, unit = next(each for each in _LIMITS if each[0] in found and each[1] in found)
        found |= {
            "peer": f"limit of {found[limit]:g} {unit}",
            "ours": found[measured],
            "unit": unit,
            "ratio": round(found[limit] / max(found[measured], found[limit] / 1000), 2),
            "goal": 1.0,
        }
    else:
        found |= {"ours": found["ours_s"], "unit": "s"}
    found["same_result"] = found.get("same_result")
    met = found["ratio"] >= found["goal"] and found["same_result"] is not False and found.get("met", True)
    keys = ("work", "ours", "unit", "peer", "ratio", "goal", "same_result")
    return {key: found[key] for key in keys} | {"met": bool(met)} | {
        key: value for key, value in found.items() if key not in (*keys, "met")
    }  # fmt: skip


def said(row: Row) -> str:
    """Return a row as one line."""
    compared = {True: ", same result", False: ", RESULTS DIFFER", None: ""}[row["same_result"]]
    note = f"; {row['note']}" if row.get("note") else ""
    judged = "met" if row["met"] else "MISSED"
    return (
        f"{row['work']}: {row['ours']:g} {row['unit']}, {row['ratio']:g}x {row['peer']} "
        f"{row.get('peer_version', '')}".rstrip()
        + f" (goal {row['goal']:g}x, {judged}{compared}{note})"
    )


def table(rows: Sequence[Row]) -> Any:
    """Return the table of all rows."""
    shown = new_table("benchmarks", ("work", "#ours", "peer", "#ratio", "#goal", "met", "same result"))
    for row in rows:
        same = {True: "yes", False: "NO", None: "-"}[row["same_result"]]
        shown.add_row(
            row["work"], f"{row['ours']:g} {row['unit']}", row["peer"], f"{row['ratio']:g}",
            f"{row['goal']:g}", "yes" if row["met"] else "NO", same,
        )  # fmt: skip
    return shown


# --- beside the last results


def worse(rows: Sequence[Row], path: Path = RESULTS) -> list[str]:
    """Return each work whose ratio fell below what was kept by more than noise, or whose result differs."""
    kept = _kept(path)
    found = []
    for row in rows:
        if row["same_result"] is False:
            found.append(f"{row['work']}: does not give the peer's result")
        low = kept.get(_key(row), {}).get("low")
        if low is not None and row["ratio"] < low * (1 - NOISE):
            found.append(f"{row['work']}: {row['ratio']:g}x, was {low:g}x or more")
    return found


def keep(rows: Sequence[Row], path: Path = RESULTS) -> None:
    """Widen what is kept of each work by these rows: the lowest and the highest ratio seen, and the goal."""
    kept = _kept(path)
    for row in rows:
        before = kept.get(_key(row), {})
        kept[_key(row)] = {
            "low": min(row["ratio"], before.get("low", row["ratio"])),
            "high": max(row["ratio"], before.get("high", row["ratio"])),
            "goal": row["goal"],
        }  # fmt: skip
    text = json.dumps(dict(sorted(kept.items())), ensure_ascii=False, indent=1)
    path.write_text(f"{text}\n", encoding="utf-8")


def _key(row: Row) -> str:
    return f"{row['work']} | {row['peer']}"


def _kept(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
