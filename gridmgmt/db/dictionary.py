"""What the database says of its own tables: columns, keys, references, and which roles may read them."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from gridmgmt.db.engine import ROLES


@dataclass(frozen=True)
class Column:
    """One column; `references` is the table it points to, `readers` the roles that may read it."""

    name: str
    type: str
    required: bool
    key: bool
    references: str | None
    readers: frozenset[str]


@dataclass(frozen=True)
class Table:
    """One table or view with its columns in their order; `policies` is the number of its row policies."""

    name: str
    policies: int
    columns: tuple[Column, ...]


def tables(connection: Connection) -> list[Table]:
    """Return the tables and views of the product, by name; the years of a partitioned table are the table."""
    found: dict[str, list[Column]] = {}
    policies: dict[str, int] = {}
    for row in connection.execute(text(_COLUMNS), {"roles": list(ROLES)}):
        readers = frozenset(role.removeprefix("gridmgmt_") for role in row.readers)
        column = Column(row.name, row.type, row.required, row.key, row.referenced, readers)
        found.setdefault(row.table, []).append(column)
        policies[row.table] = row.policies
    return [Table(name, policies[name], tuple(columns)) for name, columns in sorted(found.items())]


_COLUMNS = """
    SELECT c.relname AS table, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
        a.attnotnull AS required,
        EXISTS (SELECT FROM pg_constraint p WHERE p.conrelid = c.oid AND p.contype = 'p'
            AND a.attnum = ANY (p.conkey)) AS key,
        (SELECT min(f.confrelid::regclass::text) FROM pg_constraint f WHERE f.conrelid = c.oid
            AND f.contype = 'f' AND f.conparentid = 0 AND a.attnum = ANY (f.conkey)) AS referenced,
        (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies,
        ARRAY(SELECT r.role FROM unnest(CAST(:roles AS text[])) AS r(role)
            WHERE has_column_privilege(r.role, c.oid, a.attnum, 'SELECT')) AS readers
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p')
        AND NOT c.relispartition
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    ORDER BY c.relname, a.attnum
"""
