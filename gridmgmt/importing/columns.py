"""Which column of a file is which of our fields, and which columns are not taken at all."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Table
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gridmgmt.errors import FileError
from gridmgmt.importing.mapping import Mapping
from gridmgmt.importing.sheet_table import MOST_COLUMNS
from gridmgmt.importing.traditional import simplified

# The product serves residents and does not watch them: such columns are named and dropped, never stored.
FORBIDDEN = re.compile(
    r"维稳|稳控|涉稳|稳定风险|稳定因素|重点人员|重点人口|重点关注|上访|信访户|信访人|宗教|信仰|教派|教徒|邪教|法轮"
    r"|民族|族别|政治|党派|政审|党员|涉毒|吸毒|戒毒|刑释|刑满|释放人员|前科|犯罪|违法记录|服刑|缓刑|假释|社区矫正|矫正"
    r"|帮教|维权|征兵|兵役|涉黑|涉恶|涉恐|涉军|管控|肇事肇祸|精神障碍|艾滋|性取向|信用分|积分排名"
    r"|politic|religi|ethnic|\brace\b|stability|petitioner|criminal|parole|drug",
    re.IGNORECASE,
)
# A file without a header shows its first row where a header is expected: numbers in it are nobody's business.
NUMBERS = re.compile(r"[0-9０-９]{7,}[Xx]?")
Required = Sequence[str | tuple[str, ...]]  # a tuple needs one of its fields

CRS_CHOICES = (
    "wgs84, cgcs2000, gcj02 (高德, 腾讯) or bd09 (百度), or EPSG:n; "
    'declare it in the mapping file, [source] crs = "wgs84", or by --crs'
)


def plain(name: str) -> str:
    """Return a column's name as it is compared: half-width, Simplified, without blanks around, in lower case.

    >>> plain("　Ｎａｍｅ "), plain("身份證號")
    ('name', '身份证号')
    """
    folded = " ".join(unicodedata.normalize("NFKC", name.replace("\ufeff", "")).split())
    return simplified(folded.casefold())


def shown_header(header: Iterable[str]) -> list[str]:
    """Return what an error may show of a header: some names, and no long numbers, should it be none."""
    hidden = (NUMBERS.sub(lambda found: "*" * len(found[0]), name)[:60] for name in header)
    names = ("".join(sign if sign.isprintable() else " " for sign in name) for name in hidden)
    return [name for name in names if name.strip()][:40]


@dataclass(frozen=True)
class Layout:
    """Where our fields stand in a header: positions by field, constants, and the positions kept as read."""

    header: tuple[str, ...]
    fields: dict[str, tuple[int, ...]]
    constants: dict[str, str]
    kept: tuple[int, ...]
    forbidden: tuple[str, ...]
    filters: tuple[tuple[int, frozenset[str]], ...]

    @property
    def used(self) -> frozenset[int]:
        """Positions whose values matter: those of our fields and of [keep]."""
        return frozenset(p for places in self.fields.values() for p in places) | {p for p, _ in self.filters}

    def frame(self, texts: Table[int, pd.Series], index: pd.Index) -> pd.DataFrame:
        """Return our fields as columns, given the text columns by position; composites are joined by "-"."""
        columns = {}
        for ours, places in self.fields.items():
            first, *others = (texts[place] for place in places)
            for other in others:
                first = first + "-" + other
            columns[ours] = first
        for ours, value in self.constants.items():
            columns[ours] = pd.Series(value, index=index, dtype="str")
        return pd.DataFrame(columns, index=index)

    def names(self) -> list[str]:
        """Return the names of the kept columns, each once ("name", "name.2")."""
        seen: dict[str, int] = {}
        names = []
        for position in self.kept:
            name = self.header[position]
            seen[name] = seen.get(name, 0) + 1
            names.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
        return names


@dataclass(frozen=True)
class Wanted:
    """What an importer asks of a table: fields it knows, those it needs, other spellings of their names."""

    known: Sequence[str]
    required: Required
    aliases: Table[str, Sequence[str]]
    only_known: bool = False
    personal: Sequence[str] = ()  # fields whose values no error quotes

    def check(self, mapping: Mapping) -> None:
        """Raise InputError when the mapping file fills fields that this import does not have."""
        for section, names in (("fields", mapping.fields), ("constants", mapping.constants)):
            for name in names:
                if name not in self.known:
                    file = mapping.file or "mapping"
                    raise FileError(file, f"{section}.{name}", name, ", ".join(self.known))

    def missing(self, header: Sequence[str], mapping: Mapping) -> list[str]:
        """Return the required fields that neither the header nor the constants give."""
        index = _index(header)
        return [
            " or ".join(fields)
            for fields in self._alternatives()
            if not any(self._given(field, mapping, index) for field in fields)
        ]

    def _alternatives(self) -> list[tuple[str, ...]]:
        return [(fields,) if isinstance(fields, str) else fields for fields in self.required]

    def _given(self, field: str, mapping: Mapping, index: Table[str, list[int]]) -> bool:
        return field in mapping.constants or all(name in index for name in self._names(field, mapping, index))

    def _names(self, field: str, mapping: Mapping, index: Table[str, list[int]]) -> list[str]:
        """Return the compared names of the file's columns that make up a field."""
        if field in mapping.fields:
            return [plain(name) for name in mapping.fields[field]]
        spellings = [plain(name) for name in (field, *self.aliases.get(field, ()))]
        return [next((name for name in spellings if name in index), spellings[0])]

    def layout(self, path: Path, header: Sequence[str], mapping: Mapping) -> Layout:
        """Return where the fields stand; raises FileError listing what was found and how to map."""
        if len(header) > MOST_COLUMNS:
            raise FileError(path, "columns", len(header), f"at most {MOST_COLUMNS}")
        index = _index(header)
        missing = self.missing(header, mapping)
        if missing:
            raise self._lacking(path, missing, header, mapping)
        fields = {}
        for field in self.known:
            names = self._names(field, mapping, index)
            if field in mapping.constants or (field not in mapping.fields and names[0] not in index):
                continue
            fields[field] = tuple(_place(path, name, header, index) for name in names)
        forbidden = {p for p, name in enumerate(header) if FORBIDDEN.search(plain(name))}
        for field, places in fields.items():
            if forbidden.intersection(places):
                raise FileError(path, field, mapping.fields.get(field), "a column this product may hold")
        filters = tuple(
            (_place(path, plain(name), header, index), values) for name, values in mapping.keep.items()
        )
        taken = {p for places in fields.values() for p in places} | {p for p, _ in filters}
        kept = sorted(taken if self.only_known else set(range(len(header))) - forbidden)
        named = tuple(header[p] for p in sorted(forbidden))
        return Layout(tuple(header), fields, dict(mapping.constants), tuple(kept), named, filters)

    def _lacking(
        self, path: Path, missing: Iterable[str], header: Sequence[str], mapping: Mapping
    ) -> FileError:
        wishes = [f'{field} = "…"' for field in missing]
        asked = [name for field in missing for name in mapping.fields.get(field, ())]
        mapped = f" (mapped to {', '.join(asked)})" if asked else ""
        return FileError(
            path,
            f"column {', '.join(missing)}{mapped}",
            shown_header(header),
            f"a header with {', '.join(map(' or '.join, self._alternatives()))}; "
            "name the file's own columns in a mapping file: "
            f"[fields] {'; '.join(wishes)}",
        )


def _index(header: Sequence[str]) -> dict[str, list[int]]:
    index: dict[str, list[int]] = {}
    for position, name in enumerate(header):
        if name.strip():
            index.setdefault(plain(name), []).append(position)
    return index


def _place(path: Path, name: str, header: Sequence[str], index: Table[str, list[int]]) -> int:
    places = index.get(name, [])
    if len(places) != 1:
        found = shown_header(header) if not places else f"{len(places)} columns of that name"
        raise FileError(path, f"column {name}", found, "a column that stands in the header exactly once")
    return places[0]
