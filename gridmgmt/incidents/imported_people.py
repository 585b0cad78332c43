"""Who told imported matters: sealed as the file is read, written for the cases that come of it."""

from typing import Any

import pyarrow as pa
from sqlalchemy import Connection, text

from gridmgmt.db.copy import copy_rows
from gridmgmt.errors import InputError
from gridmgmt.importing.report import Report
from gridmgmt.incidents.imported_cases import WHO
from gridmgmt.incidents.parties.models import PartyPart
from gridmgmt.incidents.parties.service import NAME, PHONE, checked
from gridmgmt.incidents.parties.told import PartyTold
from gridmgmt.incidents.terms import Status
from gridmgmt.privacy import audit
from gridmgmt.privacy.binding import bind
from gridmgmt.privacy.blind import blind_many
from gridmgmt.privacy.cipher import new_salts, seal_many
from gridmgmt.privacy.keyring import KeyRing


class People:
    """Who told the open matters of one file; only what is sealed reaches the database."""

    def __init__(self, connection: Connection, ring: KeyRing | None) -> None:
        self._connection, self._ring = connection, ring
        self._left_out = 0
        connection.execute(
            text("""
            CREATE TEMP TABLE incoming_party (external_id text, salt bytea, name bytea, phone bytea,
                phone_index uuid) ON COMMIT DROP
            """)
        )

    def add(self, columns: dict[str, Any], names: list[str], phones: list[str]) -> None:
        """Seal who told the open ones of the rows that `columns` are."""
        ids = columns["external_id"].tolist()
        is_open = (columns["status"] == Status.OPEN).tolist()
        rows = [
            (number, told)
            for number, open_, name, phone in zip(ids, is_open, names, phones, strict=True)
            if open_ and (name or phone) and (told := self._told(name, phone))
        ]
        if rows:
            self._copy([number for number, _ in rows], [told for _, told in rows])

    def _told(self, name: str, phone: str) -> PartyTold | None:
        """Return name and telephone in the form in which they are kept, without what can be neither."""
        found = self._checked(name, ""), self._checked("", phone)
        told = PartyTold(PartyPart.COMPLAINANT, found[0].name, found[1].phone)
        return told if told.name or told.phone else None

    def _checked(self, name: str, phone: str) -> PartyTold:
        try:
            found = checked([PartyTold(PartyPart.COMPLAINANT, name, phone)])
        except InputError:
            self._left_out += 1
            found = []
        return found[0] if found else PartyTold(PartyPart.COMPLAINANT)

    def _copy(self, ids: list[str], told: list[PartyTold]) -> None:
        if self._ring is None:
            self._ring = KeyRing.opened()
        bind(self._connection, self._ring)
        salts = new_salts(len(ids))
        texts = {NAME: [each.name or None for each in told], PHONE: [each.phone or None for each in told]}
        sealed = seal_many(self._ring, salts, texts)
        columns = {
            "external_id": pa.array(ids, pa.large_string()),
            "salt": pa.array(salts, pa.binary()),
            "name": pa.array(sealed[NAME], pa.binary()),
            "phone": pa.array(sealed[PHONE], pa.binary()),
            "phone_index": pa.array(blind_many(self._ring, "phone", texts[PHONE]), pa.binary(16)),
        }
        copy_rows(self._connection.connection.cursor(), "incoming_party", columns)

    def write(self, source: str, report: Report) -> None:
        """Write those whose matter has become a case with this file, with one line in the audit log."""
        if self._left_out:
            report.warn(
                f"{self._left_out} names or telephones of open matters are none that can be kept: left out"
            )
        count = self._connection.execute(
            text("SELECT count(*) FROM incoming_party JOIN begun USING (external_id)")
        ).scalar_one()
        if not count:
            return
        self._connection.execute(text("SELECT set_config('app.user', :who, true)"), {"who": WHO})
        audit.record(self._connection, "party.add", detail={"import": source, "parties": count})
        self._connection.execute(
            text("""
            INSERT INTO incident_party (case_id, part, salt, name, phone, phone_index, made_by)
            SELECT b.id, :part, p.salt, p.name, p.phone, p.phone_index, :who
            FROM incoming_party p JOIN begun b USING (external_id) ORDER BY b.id
            """),
            {"part": PartyPart.COMPLAINANT.value, "who": WHO},
        )
