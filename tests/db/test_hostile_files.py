"""Files made to harm: each ends in a clear error or a normal report, within bounded memory."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.db.hostile_files import write_all

MOST_MB = 512
WORKERS = 2
# Imports each file without keeping anything; prints what came of it, and the peaks of itself and its helpers.
CHILD = """
import json, resource, sys
from pathlib import Path
from gridmgmt.db.engine import make_engine
from gridmgmt.errors import InputError
from gridmgmt.households.incoming.importer import import_roster
from gridmgmt.importing.mapping import load_mapping

resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
engine = make_engine(sys.argv[1])
for name in json.load(sys.stdin):
    path = Path(name)
    try:
        rejects = path.with_name("rejects.out")
        report = import_roster(engine, path, load_mapping(None), dry_run=True, rejects=rejects)
        end = "report"
    except InputError as why:
        end = "error" if len(str(why)) < 2_000 else "an error without end"
    except Exception as why:
        end = f"{type(why).__name__}: {str(why)[:300]}"
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    helpers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(json.dumps([path.name, end, max(peak, helpers) // 1024]), flush=True)
"""


def test_every_hostile_file_ends_in_an_error_or_a_report_within_bounded_memory(
    database: str, tmp_path: Path
) -> None:
    paths = [str(path) for path in write_all(tmp_path)]
    assert len(paths) >= 300
    children = []
    for worker in range(WORKERS):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).parents[2], env=os.environ,
        )  # fmt: skip
        assert child.stdin is not None
        child.stdin.write(json.dumps(paths[worker::WORKERS]))
        child.stdin.close()
        child.stdin = None
        children.append(child)
    told = [json.loads(line) for child in children for line in child.communicate(timeout=600)[0].splitlines()]
    assert [child.returncode for child in children] == [0] * WORKERS
    assert len(told) == len(paths)
    ends = Counter(end for _, end, _ in told)
    peak, worst = max((mb, name) for name, _, mb in told)
    print(f"{len(told)} hostile files: {dict(ends)}; peak {peak} MiB at {worst}")
    assert [(name, end) for name, end, _ in told if end not in ("error", "report")] == []
    assert peak < MOST_MB, worst
