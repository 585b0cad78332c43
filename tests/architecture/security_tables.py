"""The tables of docs/security: read from TOML, held against the tests there are, written as pages.

python -m tests.architecture.security_tables    writes the pages anew
"""

import ast
import tomllib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "security"
# In this order they stand on a page; `city` is a duty of whoever runs the program.
STATES = {"open": "open", "met": "met", "city": "the city's", "not_applicable": "not applicable"}
MOST_WORDS = 15


@dataclass(frozen=True)
class Requirement:
    """One requirement: what it says in our words, how it stands, and what shows that."""

    id: str
    says: str
    state: str
    level: int | None = None
    tests: tuple[str, ...] = ()
    evidence: str = ""  # a file, where a configuration or document is what shows it
    shows: str = ""  # what stands in that file
    why: str = ""


@dataclass(frozen=True)
class Table:
    """A standard: its title, where it stands, the names of its groups, and what it asks for."""

    name: str
    title: str
    source: str
    intro: str
    groups: dict[str, str]
    requirements: tuple[Requirement, ...]

    def of_state(self, state: str) -> list[Requirement]:
        return [each for each in self.requirements if each.state == state]


def read(name: str) -> Table:
    """Return the table of docs/security/<name>.toml; TypeError names a key that it may not have."""
    told = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    entries = told.pop("requirement")
    found = [
        Requirement(id=number, **entry | {"tests": tuple(entry.get("tests", ()))})
        for number, entry in entries.items()
    ]
    return Table(name=name, requirements=tuple(found), **told)


@cache
def tests_of(path: str) -> frozenset[str]:
    """Return the names of the tests in a file, those in classes too."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def faults(requirement: Requirement) -> list[str]:
    """Return what is wrong with an entry: nothing that shows it, or something that is not there."""
    each, found = requirement, []
    if each.state not in STATES:
        found.append(f"state {each.state}")
    if not 0 < len(each.says.split()) <= MOST_WORDS:
        found.append(f"{len(each.says.split())} words instead of up to {MOST_WORDS}")
    for name in each.tests:
        path, _, test = name.partition("::")
        if not (ROOT / path).is_file() or not test.startswith("test_") or test not in tests_of(path):
            found.append(f"no test {name}")
    if each.evidence:
        path = ROOT / each.evidence
        if not path.is_file() or not each.shows or each.shows not in path.read_text(encoding="utf-8"):
            found.append(f"{each.evidence} does not say {each.shows!r}")
    if each.state == "met" and not (each.tests or each.evidence):
        found.append("nothing shows that it is met")
    if each.state != "met" and not each.why:
        found.append("no reason")
    return found


def page(table: Table) -> str:
    """Return the table as a page: counts, what is open, then group by group."""
    counts = Counter(each.state for each in table.requirements)
    said = ", ".join(f"{counts[state]} {words}" for state, words in STATES.items() if counts[state])
    lines = [
        f"# {table.title}", "",
        f"<!-- Written by `python -m tests.architecture.security_tables` from {table.name}.toml. -->", "",
        table.intro.strip(), "", f"Source: {table.source}", "",
        f"**{len(table.requirements)} requirements: {said}.**", "", "## Open", "",
    ]  # fmt: skip
    lines += [f"- **{each.id}** {each.says}: {each.why}" for each in table.of_state("open")] or ["Nothing."]
    for group, name in table.groups.items():
        lines += ["", f"## {group} {name}", "", *_rows(table, group)]
    return "\n".join(lines) + "\n"


def _rows(table: Table, group: str) -> list[str]:
    own = [each for each in table.requirements if _group_of(table, each) == group]
    leveled = any(each.level for each in own)
    head = (
        "| no. | level | asks | state | shown by, or why |"
        if leveled
        else "| no. | asks | state | shown by, or why |"
    )
    rows = [head, "| --- " * (head.count("|") - 1) + "|"]
    for each in own:
        cells = [
            each.id,
            *([str(each.level)] if leveled else []),
            each.says,
            STATES[each.state],
            _shown(each),
        ]
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return rows


def _group_of(table: Table, requirement: Requirement) -> str:
    """Return the longest group that a number begins with, or the range in which it lies ("13–27")."""
    fitting = [group for group in table.groups if _holds(group, requirement.id)]
    return max(fitting, key=len)


def _holds(group: str, number: str) -> bool:
    first, dash, last = group.partition("–")
    if dash:
        return int(first) <= int(number.partition(".")[0]) <= int(last)
    return f"{number}.".startswith(f"{group}.")


def _shown(requirement: Requirement) -> str:
    by_file: dict[str, list[str]] = {}
    for name in requirement.tests:
        path, _, test = name.partition("::")
        by_file.setdefault(path.removeprefix("tests/").removesuffix(".py"), []).append(
            test.removeprefix("test_")
        )
    parts = [f"{path}: {', '.join(f'`{test}`' for test in names)}" for path, names in by_file.items()]
    if requirement.evidence:
        parts.append(f"[{requirement.evidence}](../../{requirement.evidence}): `{requirement.shows}`")
    return "; ".join([*parts, *([requirement.why] if requirement.why else [])])


NAMES = ("asvs", "pipl", "mlps")

if __name__ == "__main__":
    for each in map(read, NAMES):
        (FOLDER / f"{each.name}.md").write_text(page(each), encoding="utf-8")
        print(each.name, dict(Counter(one.state for one in each.requirements)))
        for one in each.requirements:
            for fault in faults(one):
                print(f"  {one.id}: {fault}")
