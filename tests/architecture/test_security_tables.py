"""The tables of docs/security say nothing that no test or file shows, and their pages are what they say."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.architecture import security_tables as tables
from tests.architecture.security_tables import NAMES, Requirement

# OWASP ASVS 5.0.0: requirements of level 1 and of level 2 by chapter, 253 in all.
ASVS = {
    1: (8, 19), 2: (4, 7), 3: (8, 11), 4: (2, 8), 5: (4, 5), 6: (13, 22), 7: (6, 12), 8: (4, 3), 9: (4, 3),
    10: (5, 24), 11: (3, 11), 12: (3, 6), 13: (1, 12), 14: (2, 7), 15: (3, 10), 16: (0, 16), 17: (0, 7),
}  # fmt: skip
# GB/T 22239-2019, level 3: lettered clauses of the four technical parts that are listed one by one.
MLPS = {"8.1.2": 8, "8.1.3": 20, "8.1.4": 34, "8.1.5": 12}


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_is_shown_or_says_why_not(name: str) -> None:
    found = {each.id: tables.faults(each) for each in tables.read(name).requirements}
    assert {number: wrong for number, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("name", NAMES)
def test_a_page_says_what_its_table_says(name: str) -> None:
    page = (tables.FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert page == tables.page(tables.read(name)), "python -m tests.architecture.security_tables"


def test_all_requirements_of_asvs_are_there() -> None:
    entries = tables.read("asvs").requirements
    counts = Counter((int(each.id.split(".")[0]), each.level) for each in entries)
    assert counts == {
        (chapter, level): n for chapter, both in ASVS.items() for level, n in enumerate(both, 1) if n
    }
    assert Counter(each.level for each in entries) == {1: 70, 2: 183}
    assert {each.state for each in entries} <= {"met", "not_applicable", "open"}, (
        "what a city does is no excuse"
    )


def test_all_technical_clauses_of_the_third_level_are_there() -> None:
    counts = Counter(".".join(each.id.split(".")[:3]) for each in tables.read("mlps").requirements)
    assert {part: counts[part] for part in MLPS} == MLPS


def test_a_claim_that_nothing_shows_is_a_fault() -> None:
    here = "tests/architecture/test_security_tables.py"
    good = Requirement(
        "1.1.1", "A claim", "met", tests=(f"{here}::test_a_claim_that_nothing_shows_is_a_fault",)
    )
    assert tables.faults(good) == []
    assert tables.faults(replace(good, tests=()))
    assert tables.faults(replace(good, tests=(f"{here}::test_that_there_is_not",)))
    assert tables.faults(replace(good, tests=("tests/no_such_file.py::test_x",)))
    assert tables.faults(replace(good, tests=(), evidence="pyproject.toml", shows="no such words in it"))
    assert tables.faults(replace(good, state="open"))
    assert tables.faults(replace(good, state="fine"))
    assert tables.faults(replace(good, says="word " * 16))
