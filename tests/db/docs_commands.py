"""The commands that the documentation shows, and the files that they speak of."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import geopandas
import pandas as pd
import xlsxwriter

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```(?:sh|bash|console)?\n(.*?)^```", re.DOTALL | re.MULTILINE)
_CALL = re.compile(r"(?:^|\$\(|\s)gridmgmt\s")

# Whose run would end, wait for, or need what a test has not: these are read to the last option and not run.
NOT_RUN = {
    "serve": "runs until it is stopped",
    "demo": "is what the city here was made by",
    "screenshots": "is run by tests/browser",
    "cluster start": "would keep the cluster", "cluster stop": "would end the cluster of the other commands",
    "cluster drop": "would end the cluster of the other commands",
    "api webhook test": "sends to another machine", "api deliver": "sends to other machines",
    "jobs work": "runs until it is stopped", "jobs run": "needs a job that waits",
    "db archive": "runs until it is stopped",
    "db backup": "is run by tests/db/test_backup.py", "db restore": "is run by tests/db/test_backup.py",
    "db drill": "is run by tests/db/test_backup.py",
    "db down": "would take the schema away",
    "doctor": "ends with 6 where anything is wrong; tests/db/test_doctor.py",
    "province run": "is run by tests/unit/test_province.py",
}  # fmt: skip


@dataclass(frozen=True)
class Command:
    """One call of `gridmgmt` in a page: its arguments, and the file that its output goes to."""

    page: str
    arguments: tuple[str, ...]
    out: str | None

    @property
    def runs(self) -> bool:
        said = " ".join(self.arguments)
        return not any(said == name or said.startswith(f"{name} ") for name in NOT_RUN)


def commands() -> Iterator[Command]:
    """Give every call in the order of the pages."""
    for path in PAGES:
        for block in _BLOCK.findall(path.read_text(encoding="utf-8")):
            for line in re.sub(r"\\\n\s*", " ", block).splitlines():
                if _CALL.search(line):
                    yield _command(str(path.relative_to(ROOT)), line)


def _command(page: str, line: str) -> Command:
    call = line[_CALL.search(line).end() :]  # type: ignore[union-attr]
    words = shlex.split(call.rstrip(")") if "$(" in line else call, comments=True)
    out = None
    if ">" in words:
        place = words.index(">")
        words, out = words[:place], words[place + 1]
    return Command(page, tuple(words), out)


def write_files(sample: Path, folder: Path) -> None:
    """Write the files that pages speak of, from the files of the sample city."""
    folder.mkdir()
    for ours, theirs in (
        ("divisions.geojson", "divisions.geojson"), ("categories.csv", "categories.csv"),
        ("roads.geojson", "layers.geojson"), ("layers.geojson", "layers.geojson"),
        ("hotline.toml", "incidents.toml"), ("2024.csv", "incidents_2024.csv"),
        ("2025.csv", "incidents_2025.csv"), ("done.csv", "tasks_2025.csv"),
    ):  # fmt: skip
        (folder / ours).write_bytes((sample / theirs).read_bytes())
    geopandas.read_file(sample / "grids.geojson").to_file(folder / "grids.gpkg")
    _book(pd.read_csv(sample / "workers.csv", encoding="gb18030", dtype=str), folder / "workers.xlsx")
    _book(pd.read_parquet(sample / "roster.parquet").head(20).astype(str), folder / "roster.xlsx")
    mediators = pd.DataFrame({"name": ["王建国"], "area": ["379981001"], "specialities": ["邻里"]})
    for name in ("mediators.xlsx", "人才库.xlsx"):
        _book(mediators, folder / name)


def _book(frame: pd.DataFrame, path: Path) -> None:
    book = xlsxwriter.Workbook(str(path))
    sheet = book.add_worksheet()
    for number, row in enumerate([frame.columns.tolist(), *frame.fillna("").to_numpy().tolist()]):
        sheet.write_row(number, 0, ["" if cell in ("nan", "None") else cell for cell in row])
    book.close()
