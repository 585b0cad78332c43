"""Somebody who imports files with known contents again and again, and begins anew when it was cut short."""

import csv
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.faults.clients import CUT, KEPT, SAME, UNREADY, Attempt, Watch, Working
from benchmarks.faults.ledger import SOURCE, Ledger
from benchmarks.faults.machine import ROOT, Clock

ROWS = 400
# Exit code of the command when the database does not answer (gridmgmt.errors.SetupError).
NOT_READY = 6
MAPPING = f'[source]\nname = "{SOURCE}"\ncrs = "cgcs2000"\n'


class Importer(Working):
    """Imports files one after the other: new ones, the same again, and one whose words changed."""

    ends_within_s = 120.0

    def __init__(
        self, folder: Path, environment: dict[str, str], clock: Clock, ledger: Ledger, watch: Watch,
        seed: int, places: list[tuple[float, float]], categories: list[str],
    ) -> None:  # fmt: skip
        super().__init__()
        self._folder, self._environment, self._clock = folder, environment, clock
        self._ledger, self._watch, self._rng = ledger, watch, random.Random(seed)
        self._places, self._categories = places, categories
        folder.mkdir()
        (folder / "mapping.toml").write_text(MAPPING)
        self.process: subprocess.Popen[str] | None = None

    def close(self) -> None:
        """End whatever runs."""
        self.stop()
        self.kill()

    def kill(self) -> bool:
        """Kill the import that runs; False when none does."""
        process = self.process
        if process is None or process.poll() is not None:
            return False
        process.kill()
        return True

    def _work(self) -> None:
        number = 0
        while not self._over.is_set():
            name = f"f{number}"
            for version in (1, 1, 2) if self._rng.random() < 0.5 else (1,):
                self._write(name, version)
                self._until_kept(name, version)
            number += 1

    def _until_kept(self, name: str, version: int) -> None:
        while not self._import(name, version) and not self._over.is_set():
            time.sleep(0.5)

    def _write(self, name: str, version: int) -> None:
        with (self._folder / f"{name}.csv").open("w", newline="") as stream:
            rows = csv.writer(stream)
            rows.writerow(["external_id", "occurred_at", "category", "lon", "lat", "text"])
            for n in range(ROWS):
                lon, lat = self._places[n % len(self._places)]
                category = self._categories[n % len(self._categories)]
                at = f"2025-06-{1 + n % 28:02d} 10:00"
                rows.writerow([f"{name}-{n}", at, category, f"{lon:.6f}", f"{lat:.6f}", f"{name} v{version}"])
        self._ledger.send("import", name, {"rows": ROWS, "version": version})

    def _import(self, name: str, version: int) -> bool:
        began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gridmgmt", "import", "incidents", str(self._folder / f"{name}.csv"),
             "--mapping", str(self._folder / "mapping.toml")],
            cwd=ROOT, env=os.environ | self._environment | self._clock.environment(), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            said, why = self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            said, why = self.process.communicate()
        code = self.process.returncode
        if code == 0:
            self._ledger.keep("import", name, {"rows": ROWS, "version": version})
        known = {0: KEPT if f"{ROWS} new" in said else SAME, -9: CUT, NOT_READY: UNREADY}
        outcome = known.get(code, f"import ended with {code}")
        if code == NOT_READY and len(why) > 1_000:
            outcome = "import ended with a trace"
        self._watch.note(Attempt("import", began, time.monotonic(), outcome, why[-600:]))
        return code == 0
