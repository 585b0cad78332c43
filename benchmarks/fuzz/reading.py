"""The process that reads hostile files: its arguments are URL HOME; names stand on its input, one a line.

It prints a line of JSON for each: how it ended, seconds, its highest memory in MB. Its own memory is bounded;
what breaks the bound ends it, and whoever started it knows by which file.
"""

import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from gridmgmt.cli.importers import KINDS
from gridmgmt.db.engine import make_engine
from gridmgmt.errors import InputError
from gridmgmt.households.incoming.importer import import_roster
from gridmgmt.importing import pictures
from gridmgmt.importing.mapping import load_mapping
from gridmgmt.incidents.parties import attachments
from gridmgmt.index.entries import importer as entries

MOST_MEMORY = 6 << 30
# A message is for a person to read.
LONGEST_WORDS = 3_000


def main() -> None:
    """Read each file named on the input by the importer that its folder is called after."""
    os.environ["GRIDMGMT_HOME"] = sys.argv[2]
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    engine = make_engine(sys.argv[1])
    mapping = load_mapping(None, crs="cgcs2000")

    def imported(kind: str) -> Callable[[Path], object]:
        importer = import_roster if kind == "roster" else KINDS[kind].importer()
        rejects = Path(sys.argv[2]) / f"rejects-{os.getpid()}.csv"
        return lambda path: importer(engine, path, mapping, dry_run=True, rejects=rejects)

    others: dict[str, Callable[[Path], object]] = {
        "index": lambda path: entries.read(path.name, path.read_bytes()),
        "photo": lambda path: pictures.prepare(path.read_bytes()),
        "attachment": lambda path: attachments.prepare(path.read_bytes(), path.name),
        "mapping": load_mapping,
    }
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        kind = path.parent.name
        began = time.monotonic()
        end = _end(others.get(kind) or imported(kind), path)
        print(json.dumps([str(path), end, round(time.monotonic() - began, 2), _peak_mb()]), flush=True)


def _end(read: Callable[[Path], object], path: Path) -> str:
    try:
        read(path)
    except InputError as why:
        return "error" if len(str(why)) < LONGEST_WORDS else f"an error without end: {str(why)[:200]}"
    except Exception as why:
        at = traceback.extract_tb(why.__traceback__)[-1]
        return f"{type(why).__name__}: {str(why)[:200]} ({Path(at.filename).name}:{at.lineno})"
    return "report"


def _peak_mb() -> int:
    told = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    return max(told, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) // 1024


if __name__ == "__main__":
    main()
