"""The field register and the database say the same, column by column."""

from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from gridmgmt.cli import dictionary
from gridmgmt.db import dictionary as stored
from gridmgmt.errors import NotFoundError
from gridmgmt.privacy import register
from gridmgmt.privacy.register import Entry, Period, Subject

PAGE = Path(__file__).parents[2] / "docs" / "data-dictionary.md"
# Of extensions there is spatial_ref_sys; the years of a partitioned table are the table itself.
COLUMNS = """
    SELECT c.relname, a.attname FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
        AND NOT c.relispartition
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
"""


def differences(
    columns: set[tuple[str, str]], entries: tuple[Entry, ...], plain: frozenset[str]
) -> list[str]:
    """Return what stands in the database and not in the register, and the other way round."""
    tables = {table for table, _ in columns}
    said = {(entry.table, entry.column) for entry in entries}
    return [
        *(
            f"{table}.{column} is not in the register"
            for table, column in columns - said
            if table not in plain
        ),
        *(f"{table}.{column} is in the register and not in the database" for table, column in said - columns),
        *(f"{table} is in the register and not in the database" for table in plain - tables),
        *(f"{table} is said to be plain and has columns" for table in plain & {table for table, _ in said}),
    ]


def columns_of(engine: Engine) -> set[tuple[str, str]]:
    with engine.connect() as connection:
        return {(table, column) for table, column in connection.execute(text(COLUMNS))}


def test_every_column_is_in_the_register_and_every_entry_is_a_column(engine: Engine) -> None:
    columns, entries, plain = columns_of(engine), register.entries(), register.plain_tables()
    assert differences(columns, entries, plain) == []
    assert len(entries) == len({(entry.table, entry.column) for entry in entries}) > 200


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("ALTER TABLE person ADD COLUMN blood_group text", "person.blood_group is not in the register"),
        ("CREATE TABLE guest (name text)", "guest.name is not in the register"),
        ("CREATE VIEW names AS SELECT name FROM person", "names.name is not in the register"),
        (
            "ALTER TABLE person DROP COLUMN restricted_on",
            "person.restricted_on is in the register and not in the",
        ),
        ("DROP TABLE map_layer", "map_layer is in the register and not in the database"),
    ],
)
def test_a_change_of_either_alone_is_noticed(engine: Engine, statement: str, fault: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))
    (found,) = differences(columns_of(engine), register.entries(), register.plain_tables())
    assert found.startswith(fault)


def test_every_period_counts_from_a_column_that_stands(engine: Engine) -> None:
    columns = columns_of(engine)
    with engine.connect() as connection:
        for name, period in register.periods().items():
            assert tuple(period.start.split(".")) in columns, name
            today = date(2028, 2, 29)
            begun = connection.execute(
                text("SELECT (CAST(:day AS date) - CAST(:period AS interval))::date"),
                {"day": today, "period": str(period)},
            )
            assert begun.scalar_one() == period.before(today), name


def test_every_entry_says_why_on_what_ground_and_how_long() -> None:
    for entry in register.entries():
        assert all((entry.purpose, entry.basis, entry.retention)), entry


def test_the_nightly_job_finds_its_periods_and_no_others() -> None:
    wanted = (
        "person left",
        "visit.note",
        "roster_history",
        "roster_review",
        "roster_export",
        "roster_change",
        "incident_party",
        "account_session",
    )
    assert set(register.periods()) == set(wanted)
    assert isinstance(register.retention("visit.note"), Period)
    with pytest.raises(NotFoundError):
        register.retention("resident")


def test_sealed_columns_are_what_the_register_calls_identifier_contact_or_free_text(engine: Engine) -> None:
    with engine.connect() as connection:
        sealed = connection.execute(
            text("SELECT table_name, column_name FROM information_schema.columns WHERE data_type = 'bytea'")
        )
        found = {tuple(row) for row in sealed}
    kinds = {(entry.table, entry.column): entry.kind for entry in register.entries()}
    open_ones = ("salt", "hash", "totp_salt", "id", "docx", "pdf")
    assert {kinds[place] for place in found if place in kinds and place[1] not in open_ones} <= {
        "identifier",
        "contact",
        "free text",
    }


def test_no_role_but_the_rosters_reads_what_tells_of_residents(engine: Engine) -> None:
    allowed = {("gridmgmt_auditor", "audit_log")}
    residents = register.tables_of(Subject.RESIDENTS)
    assert {"person", "household", "dwelling", "building", "visit", "roster_history", "audit_log"} <= set(
        residents
    )
    with engine.connect() as connection:
        rights = connection.execute(
            text(
                "SELECT r.role, t.name FROM unnest(:roles) AS r (role), unnest(:tables) AS t (name)"
                " WHERE has_any_column_privilege(r.role, t.name, 'SELECT, INSERT, UPDATE, REFERENCES')"
                " OR has_table_privilege(r.role, t.name, 'DELETE, TRUNCATE, TRIGGER')"
            ),
            {
                "roles": ["gridmgmt_reader", "gridmgmt_writer", "gridmgmt_auditor", "public"],
                "tables": list(residents),
            },
        )
        assert {(role, table) for role, table in rights} == allowed


def test_the_page_of_tables_and_columns_is_what_the_database_has(engine: Engine) -> None:
    with engine.connect() as connection:
        made = dictionary.page(stored.tables(connection))
    assert made == PAGE.read_text(encoding="utf-8"), "gridmgmt db dictionary > docs/data-dictionary.md"
