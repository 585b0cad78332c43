"""Makes papers: as drafts without anything sealed, or issued under a number, a step and an audit line.

Functions raise NotFoundError for what is not in the actor's area, NotAllowedError unless the actor is of the
office that has the matter or of the meeting's own, InputError for a kind that is none, IncompleteError naming
what is missing, BrokenTemplateError when the template cannot be used: nothing is issued then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, text

from gridmgmt.calendar import CHINA
from gridmgmt.errors import ConflictError, InputError, NotFoundError
from gridmgmt.incidents.actor import Actor, on_matters
from gridmgmt.incidents.handling.acts import Act
from gridmgmt.incidents.handling.work import Work, held, moment_of
from gridmgmt.incidents.mediation import stored
from gridmgmt.incidents.mediation.mediators import check_staff
from gridmgmt.incidents.papers import gather, render
from gridmgmt.incidents.papers.facts import PaperFacts
from gridmgmt.incidents.papers.kinds import KINDS, PIECE_NAMES, Kind, Of, Piece
from gridmgmt.incidents.papers.models import PAPER_NAMES, MatterPaper, PaperKind
from gridmgmt.incidents.papers.page import Page
from gridmgmt.privacy import audit
from gridmgmt.privacy.keyring import KeyRing

FORMS = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pdf": "application/pdf",
}  # fmt: skip
NO_NUMBER = "（待编）"


class IncompleteError(ConflictError):
    """A paper cannot be issued yet; `missing` says what it lacks."""

    def __init__(self, kind: Kind, missing: Sequence[Piece]) -> None:
        super().__init__(f"{kind.name}: 还缺{'、'.join(PIECE_NAMES[each] for each in missing)}")
        self.missing = tuple(missing)

    @property
    def names(self) -> list[str]:
        """What is missing, in words."""
        return [PIECE_NAMES[each] for each in self.missing]


@dataclass(frozen=True)
class Made:
    """A paper ready to be written in a form; a draft has no number of its own."""

    kind: Kind
    number: str | None
    page: Page
    made_at: datetime
    paper_id: int | None = None

    def written(self, form: str) -> bytes:
        """Return the paper as docx or pdf."""
        if form not in FORMS:
            raise InputError("form", form, " | ".join(FORMS))
        if form == "docx":
            from gridmgmt.incidents.papers import word

            return word.render(self.page, self.made_at)
        from gridmgmt.incidents.papers import pdf

        return pdf.render(self.page, self.made_at)

    @property
    def name(self) -> str:
        """The name of its file, without the ending."""
        return f"{self.kind.name}{self.number or '草稿'}"


@dataclass(frozen=True)
class Possible:
    """A paper that a matter or a meeting may have: what is missing, and for which hands it can be made."""

    code: str
    name: str
    missing: tuple[str, ...]
    hands: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class PaperLine:
    """A paper that was issued."""

    id: int
    kind: str
    number: str
    issued_at: datetime
    issued_by: str

    @property
    def name(self) -> str:
        return PAPER_NAMES[PaperKind(self.kind)]


def kind_of(code: str, of: Of) -> Kind:
    """Return a kind of paper by its code; InputError when there is none of that of what is asked."""
    known = {kind.code.value: kind for kind in KINDS.values() if kind.of is of}
    if code not in known:
        raise InputError("kind", code, " | ".join(known))
    return known[code]


# --- of a matter


def possible(engine: Engine, actor: Actor, case_id: int) -> tuple[list[Possible], list[PaperLine]]:
    """Return the papers that a matter may have, with what each lacks, and those that were issued."""
    with on_matters(engine, actor) as connection:
        work = _office(connection, actor, case_id)
        lines = [
            Possible(
                kind.code.value, kind.name, tuple(PIECE_NAMES[each] for each in gather.missing(work, kind)),
                tuple(gather.hands(work)) if Piece.HAND in kind.needs else (),
            )
            for kind in KINDS.values()
            if kind.of is Of.CASE
        ]  # fmt: skip
        return lines, issued(connection, case_id=case_id)


def draft(
    engine: Engine, actor: Actor, code: str, case_id: int, own: Path, hand_id: int | None = None
) -> Made:
    """Return a paper of a matter as a draft: nothing sealed is opened, nothing written.

    NotFoundError for the form of a hand or the agreement of a mediation that there is not.
    """
    kind = kind_of(code, Of.CASE)
    with on_matters(engine, actor) as connection:
        work = _office(connection, actor, case_id)
        facts = gather.of_case(work, None, kind, hand_id)
        return _made(connection, actor, kind, None, facts, work.now, own)


def issue(
    engine: Engine,
    ring: KeyRing,
    actor: Actor,
    code: str,
    case_id: int,
    own: Path,
    hand_id: int | None = None,
    version: int | None = None,
    *,
    now: datetime | None = None,
) -> Made:
    """Issue a paper of a matter: numbered, with a step in its history."""
    kind = kind_of(code, Of.CASE)
    with on_matters(engine, actor) as connection:
        work = _office(connection, actor, case_id, version, now)
        lacking = gather.missing(work, kind)
        if lacking:
            raise IncompleteError(kind, lacking)
        number = _next_number(connection, work.now)
        facts = gather.of_case(work, ring, kind, hand_id)
        made = _made(connection, actor, kind, number, facts, work.now, own)
        area = work.case.village or ""
        paper_id = _write(connection, actor, made, area, case_id=case_id)
        detail = {"paper": paper_id, "kind": kind.code.value, "number": number, "hand": hand_id}
        work.write(Act.PAPER, detail=detail)
        _line(connection, area, detail | {"case": case_id})
        return Made(made.kind, number, made.page, made.made_at, paper_id)


# --- of a meeting


def possible_of_meeting(
    engine: Engine, actor: Actor, meeting_id: int
) -> tuple[list[Possible], list[PaperLine]]:
    """Return the papers that a meeting may have, with what each lacks, and those that were issued."""
    with on_matters(engine, actor) as connection:
        line, items = _meeting(connection, actor, meeting_id)
        lines = [
            Possible(
                kind.code.value, kind.name,
                tuple(PIECE_NAMES[each] for each in gather.missing_of_meeting(kind, line, items)),
            )
            for kind in KINDS.values()
            if kind.of is Of.MEETING
        ]  # fmt: skip
        return lines, issued(connection, meeting_id=meeting_id)


def draft_of_meeting(engine: Engine, actor: Actor, code: str, meeting_id: int, own: Path) -> Made:
    """Return a paper of a meeting as a draft."""
    kind = kind_of(code, Of.MEETING)
    with on_matters(engine, actor) as connection:
        facts, _ = _meeting_facts(connection, actor, meeting_id)
        return _made(connection, actor, kind, None, facts, moment_of(connection), own)


def issue_of_meeting(
    engine: Engine, actor: Actor, code: str, meeting_id: int, own: Path, *, now: datetime | None = None
) -> Made:
    """Issue a paper of a meeting."""
    kind = kind_of(code, Of.MEETING)
    with on_matters(engine, actor) as connection:
        line, items = _meeting(connection, actor, meeting_id)
        lacking = gather.missing_of_meeting(kind, line, items)
        if lacking:
            raise IncompleteError(kind, lacking)
        moment = now or moment_of(connection)
        number = _next_number(connection, moment)
        facts, area = _meeting_facts(connection, actor, meeting_id)
        made = _made(connection, actor, kind, number, facts, moment, own)
        paper_id = _write(connection, actor, made, area, meeting_id=meeting_id)
        detail = {"paper": paper_id, "kind": kind.code.value, "number": number, "meeting": meeting_id}
        _line(connection, area, detail)
        return Made(made.kind, number, made.page, made.made_at, paper_id)


# --- of either


def again(engine: Engine, ring: KeyRing, actor: Actor, paper_id: int, own: Path) -> Made:
    """Make an issued paper anew, under its number and day, of what the facts are now."""
    with on_matters(engine, actor) as connection:
        row = connection.execute(
            select(MatterPaper.__table__).where(MatterPaper.id == paper_id)
        ).one_or_none()
        if row is None:
            raise NotFoundError(f"no paper {paper_id} here")
        kind = KINDS[PaperKind(row.kind)]
        if row.case_id is None:
            facts, area = _meeting_facts(connection, actor, row.meeting_id)
        else:
            work = _office(connection, actor, row.case_id)
            facts = gather.of_case(work, ring, kind, _hand_of(connection, row.case_id, paper_id))
            area = work.case.village or ""
        made = _made(connection, actor, kind, row.number, facts, row.issued_at, own, moment_of(connection))
        detail = {"paper": paper_id, "kind": row.kind, "number": row.number, "again": True}
        _line(connection, area, detail | {"case": row.case_id})
        return Made(kind, row.number, made.page, made.made_at, paper_id)


def issued(
    connection: Connection, *, case_id: int | None = None, meeting_id: int | None = None
) -> list[PaperLine]:
    """Return the papers of a matter or of a meeting, the newest first."""
    rows = connection.execute(
        text("""
        SELECT id, kind, number, issued_at, issued_by FROM matter_paper
        WHERE case_id = :case OR meeting_id = :meeting ORDER BY id DESC
        """),
        {"case": case_id, "meeting": meeting_id},
    )
    return [PaperLine(**row._mapping) for row in rows]


def _office(
    connection: Connection,
    actor: Actor,
    case_id: int,
    version: int | None = None,
    now: datetime | None = None,
) -> Work:
    """Return a case in the hands of the office that has it."""
    work = held(connection, actor, case_id, version, now)
    actor.check_office(work.case.level)
    return work


def _meeting(connection: Connection, actor: Actor, meeting_id: int) -> tuple[Any, Any]:
    check_staff(actor)
    return stored.meeting(connection, meeting_id)


def _meeting_facts(connection: Connection, actor: Actor, meeting_id: int) -> tuple[dict[str, Any], str]:
    line, items = _meeting(connection, actor, meeting_id)
    place = gather.place_name(connection, line.area)
    return {"meeting": gather.of_meeting(line, items, place)}, line.area


def _made(
    connection: Connection,
    actor: Actor,
    kind: Kind,
    number: str | None,
    facts: dict[str, Any],
    issued_at: datetime,
    own: Path,
    made_at: datetime | None = None,
) -> Made:
    """Return a paper drawn from its template, which is where a broken one is found."""
    office = gather.office_name(connection, actor.area)
    paper = PaperFacts(
        kind.name, number or NO_NUMBER, issued_at.astimezone(CHINA).date(), actor.username, office,
        gather.city_name(connection), number is None,
    )  # fmt: skip
    root = render.page(kind, own, facts | {"paper": paper})
    moment = made_at or issued_at
    foot = f"{number or '草稿'} {actor.username} {moment.astimezone(CHINA):%Y-%m-%d %H:%M}"
    page = Page(root, f"{kind.name}{number or ''}", foot, actor.username, number is None)
    return Made(kind, number, page, moment)


def _next_number(connection: Connection, now: datetime) -> str:
    """Return the next number of a paper; one that is not issued in the end leaves a gap."""
    serial = connection.execute(text("SELECT nextval('matter_paper_number')")).scalar_one()
    return f"〔{now.astimezone(CHINA).year}〕{serial:04d}号"


def _write(connection: Connection, actor: Actor, made: Made, area: str, **of: int) -> int:
    statement = insert(MatterPaper).values(
        kind=made.kind.code, number=made.number, area=area, issued_at=made.made_at, issued_by=actor.username,
        **of,
    )  # fmt: skip
    return int(connection.execute(statement.returning(MatterPaper.id)).scalar_one())


def _line(connection: Connection, area: str, detail: dict[str, Any]) -> None:
    audit.record(connection, "paper.make", area=area, detail=detail)


def _hand_of(connection: Connection, case_id: int, paper_id: int) -> int | None:
    """Return the hand for which a form was issued, as its step says."""
    found = connection.execute(
        text("""
        SELECT (detail ->> 'hand')::integer FROM incident_step
        WHERE case_id = :case AND act = 'paper' AND (detail ->> 'paper')::integer = :paper
        """),
        {"case": case_id, "paper": paper_id},
    )
    return found.scalar_one_or_none()
