"""The one direction of imports, and that the project names no tool it must not."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_room_imports_only_from_the_floors_below() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_locks_hold_hashes_and_no_index_address() -> None:
    for lock in ("requirements.lock", "requirements-test.lock"):
        lines = (ROOT / lock).read_text().splitlines()
        assert not [line for line in lines if "://" in line or line.startswith("--index")]
        pinned = [line for line in lines if line[:1].isalpha()]
        assert all("==" in line for line in pinned)
        assert sum("--hash=sha256:" in line for line in lines) >= len(pinned)
    assert "resolved" not in (ROOT / "package-lock.json").read_text()
