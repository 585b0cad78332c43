"""atheris on the readers that need no database: text, mapping files, Parquet, pictures, attachments."""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gridmgmt.importing", "gridmgmt.incidents.parties.attachments"]):
    from gridmgmt.errors import InputError
    from gridmgmt.importing import pictures
    from gridmgmt.importing.mapping import Mapping, load_mapping
    from gridmgmt.importing.report import Report
    from gridmgmt.importing.tables import read_chunks
    from gridmgmt.incidents.parties import attachments

FOLDER = Path(tempfile.mkdtemp(prefix="gridmgmt-fuzz-"))
ENDINGS = (".csv", ".tsv", ".csv.gz", ".parquet", ".toml", ".jpeg", ".pdf")
FIELDS = ("name", "code", "grid")


def one(data: bytes) -> None:
    """Read bytes as a file of the kind that the last of them names."""
    kind, content = (data[-1] if data else 0) % len(ENDINGS), data[:-1]
    ending = ENDINGS[kind]
    path = FOLDER / f"x{ending}"
    path.write_bytes(content)
    try:
        if ending == ".toml":
            load_mapping(path)
        elif ending == ".jpeg":
            pictures.prepare(content)
        elif ending == ".pdf":
            attachments.prepare(content, path.name)
        else:
            _table(path)
    except InputError:
        return


def _table(path: Path) -> None:
    report = Report("rows", path, None)
    for _ in read_chunks(path, Mapping(), known=FIELDS, required=FIELDS[:1], report=report):
        pass


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
