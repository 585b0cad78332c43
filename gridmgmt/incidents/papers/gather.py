"""Reads the facts of a paper; what is sealed is opened only for those that hold it, and not for a draft."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, select, text

from gridmgmt.errors import NotFoundError
from gridmgmt.incidents.handling.acts import ACT_NAMES
from gridmgmt.incidents.handling.models import HAND_NAMES, VISIT_NAMES, IncidentHand, IncidentVisit, Part
from gridmgmt.incidents.handling.work import Work
from gridmgmt.incidents.mediation import sealed, stored
from gridmgmt.incidents.mediation.models import Held, MediationStatus
from gridmgmt.incidents.mediation.stored import AgendaItem, MediationLine, MeetingLine
from gridmgmt.incidents.papers.facts import (
    UNSAID,
    ContactFacts,
    DeliberationFacts,
    DocumentFacts,
    HandFacts,
    ItemFacts,
    MatterFacts,
    MediationFacts,
    MeetingFacts,
    PersonFacts,
    SittingFacts,
    StepFacts,
    VisitFacts,
)
from gridmgmt.incidents.papers.kinds import Fact, Kind, Piece
from gridmgmt.incidents.parties.models import PARTY_NAMES, AttachmentKind, IncidentParty, PartyPart
from gridmgmt.incidents.terms import LEDGER_NAMES, STATUS_NAMES, TIER_NAMES, Status, Tier
from gridmgmt.privacy.cipher import unseal
from gridmgmt.privacy.keyring import KeyRing

SATISFACTION_NAMES = {5: "非常满意", 4: "满意", 3: "基本满意", 2: "不满意", 1: "非常不满意"}
_PART_NAMES = {Part.LEAD: "主办", Part.JOINT: "协办"}
_DOCUMENT_NAMES = {AttachmentKind.PHOTO: "照片", AttachmentKind.DOCUMENT: "文件"}


# --- what is missing


def missing(work: Work, kind: Kind) -> list[Piece]:
    """Return what a paper of a matter still needs, in the order in which it is asked for."""
    return [piece for piece in kind.needs if not _HAS[piece](work)]


def _has_source(work: Work) -> bool:
    return bool(work.incident.channel and (work.incident.text or work.incident.title))


def _has_record(work: Work) -> bool:
    return _any(
        work,
        "SELECT EXISTS (SELECT FROM mediation m WHERE m.case_id = :case AND (m.status <> 'open'"
        " OR EXISTS (SELECT FROM mediation_session s WHERE s.mediation_id = m.id)))"
        " OR EXISTS (SELECT FROM deliberation WHERE case_id = :case AND status = 'held')",
    )


def _has_documents(work: Work) -> bool:
    return _any(work, "SELECT EXISTS (SELECT FROM incident_attachment WHERE case_id = :case)")


def _was_asked(work: Work) -> bool:
    """Say whether somebody was reached by a return visit since the matter was last reopened."""
    return _any(
        work,
        "SELECT EXISTS (SELECT FROM incident_visit WHERE case_id = :case AND kind = 'return' AND reached"
        " AND held_at >= coalesce((SELECT max(at) FROM incident_step WHERE case_id = :case"
        " AND act = 'reopen'), '-infinity'))",
    )


def _has_hand(work: Work) -> bool:
    return _any(
        work,
        "SELECT EXISTS (SELECT FROM incident_hand WHERE case_id = :case"
        " AND status NOT IN ('refused', 'withdrawn'))",
    )


def _has_agreement(work: Work) -> bool:
    return _any(
        work,
        "SELECT EXISTS (SELECT FROM mediation WHERE case_id = :case AND status = 'agreed'"
        " AND agreement IS NOT NULL)",
    )


def _has_parties(work: Work) -> bool:
    return _any(
        work,
        "SELECT count(DISTINCT part) FILTER (WHERE part IN ('complainant', 'respondent')) = 2"
        " FROM incident_party WHERE case_id = :case AND name IS NOT NULL AND salt IS NOT NULL",
    )


def _any(work: Work, query: str) -> bool:
    return bool(work.connection.execute(text(query), {"case": work.case.id}).scalar_one())


_HAS: dict[Piece, Callable[[Work], bool]] = {
    Piece.SOURCE: _has_source, Piece.RECORD: _has_record, Piece.DOCUMENTS: _has_documents,
    Piece.RETURN_VISIT: _was_asked, Piece.HAND: _has_hand, Piece.AGREEMENT: _has_agreement,
    Piece.PARTIES: _has_parties,
}  # fmt: skip


def missing_of_meeting(kind: Kind, line: MeetingLine, items: list[AgendaItem]) -> list[Piece]:
    """Return what a paper of a meeting still needs."""
    has = {Piece.AGENDA: bool(items), Piece.REPORT: line.status == Held.HELD and bool(line.report)}
    return [piece for piece in kind.needs if not has[piece]]


# --- the facts


def of_case(work: Work, ring: KeyRing | None, kind: Kind, hand_id: int | None = None) -> dict[str, Any]:
    """Return the facts of a matter that a paper may name, but for the paper's own.

    Without a ring, which is a draft, what is sealed is not opened, and words stand in its place. Whoever
    gives a ring leaves the audit line.
    """
    readers: Mapping[Fact, Callable[[], Any]] = {
        Fact.MATTER: lambda: _matter(work),
        Fact.PEOPLE: lambda: _people(work, ring),
        Fact.CONTACTS: lambda: _contacts(work, ring),
        Fact.HAND: lambda: _hand(work, hand_id),
        Fact.HANDS: lambda: [_hand_facts(row) for row in _hands(work)],
        Fact.STEPS: lambda: _steps(work),
        Fact.VISITS: lambda: _visits(work),
        Fact.MEDIATION: lambda: _agreed(work, ring),
        Fact.MEDIATIONS: lambda: _mediations(work, ring),
        Fact.DELIBERATIONS: lambda: _deliberations(work),
        Fact.DOCUMENTS: lambda: _documents(work),
    }
    return {fact.value: readers[fact]() for fact in kind.facts if fact in readers}


def of_meeting(line: MeetingLine, items: list[AgendaItem], area: str) -> MeetingFacts:
    """Return the facts of a meeting."""
    agenda = tuple(
        ItemFacts(
            item.number, item.category, item.village_name, item.reported_at,
            STATUS_NAMES[Status.OPEN if item.open else Status.CLOSED], item.closed_at,
        )
        for item in items
    )  # fmt: skip
    attended, report = line.attended or 0, line.report or ""
    return MeetingFacts(line.title, line.place, line.held_at, area, attended, report, agenda)


def hands(work: Work) -> list[tuple[int, str]]:
    """Return number and department of every hand for which a form can be made."""
    return [(row.id, row.unit) for row in _hands(work)]


def office_name(connection: Connection, area: str) -> str:
    """Return what an office is called in full: a town's, or the city's centre."""
    name = str(connection.execute(_NAME, {"code": area}).scalar_one_or_none() or "") if area else ""
    if name.endswith("街道"):
        return f"{name}办事处"
    if name.endswith(("镇", "乡")):
        return f"{name}人民政府"
    return name or f"{city_name(connection)}指挥中心"


def city_name(connection: Connection) -> str:
    """Return the county's name, '' before any territory is imported."""
    statement = text("SELECT name FROM division WHERE level = 'county' ORDER BY code LIMIT 1")
    return str(connection.execute(statement).scalar_one_or_none() or "")


def place_name(connection: Connection, area: str) -> str:
    """Return the name of a village, a town or, for '', the city."""
    if not area:
        return city_name(connection)
    return str(connection.execute(_NAME, {"code": area}).scalar_one_or_none() or area)


def _matter(work: Work) -> MatterFacts:
    names = work.connection.execute(_NAMES, {"case": work.case.id}).one()
    incident, case = work.incident, work.case
    return MatterFacts(
        number=case.number, title=incident.title or "", words=incident.text or "",
        channel=names.channel or "", ledger=LEDGER_NAMES.get(incident.ledger, ""),
        category=names.category, group=names.parent or "", address=incident.address or "",
        village=names.village or "", town=names.town or "", grid=names.grid or "",
        level=TIER_NAMES[Tier(case.level)], stage=work.step.name, occurred_at=incident.occurred_at,
        reported_at=incident.reported_at, due_at=incident.due_at, closed_at=incident.closed_at,
        answer=case.answer or "", satisfaction=SATISFACTION_NAMES.get(incident.satisfaction, ""),
    )  # fmt: skip


def _parties(work: Work) -> list[Row[Any]]:
    order = {part.value: at for at, part in enumerate(PartyPart)}
    rows = work.connection.execute(
        select(IncidentParty.__table__).where(
            IncidentParty.case_id == work.case.id, IncidentParty.salt.is_not(None)
        )
    )
    return sorted(rows, key=lambda row: (order[row.part], row.id))


def _opened(row: Row[Any], ring: KeyRing | None, column: str) -> str:
    value = getattr(row, column)
    if value is None:
        return ""
    return unseal(ring, bytes(row.salt), f"party_{column}", value) if ring else UNSAID


def _people(work: Work, ring: KeyRing | None) -> list[PersonFacts]:
    return [
        PersonFacts(PARTY_NAMES[PartyPart(row.part)], _opened(row, ring, "name")) for row in _parties(work)
    ]


def _contacts(work: Work, ring: KeyRing | None) -> list[ContactFacts]:
    return [
        ContactFacts(
            PARTY_NAMES[PartyPart(row.part)], _opened(row, ring, "name"), _opened(row, ring, "phone")
        )
        for row in _parties(work)
    ]


def _hands(work: Work) -> list[Row[Any]]:
    statement = select(IncidentHand.__table__).where(
        IncidentHand.case_id == work.case.id, IncidentHand.status.not_in(("refused", "withdrawn"))
    )
    return list(work.connection.execute(statement.order_by(IncidentHand.id)))


def _hand(work: Work, hand_id: int | None) -> HandFacts:
    rows = [row for row in _hands(work) if hand_id in (None, row.id)]
    if not rows:
        raise NotFoundError(f"no hand {hand_id} of matter {work.case.number}")
    return _hand_facts(rows[0])


def _hand_facts(row: Row[Any]) -> HandFacts:
    return HandFacts(
        unit=row.unit, part=_PART_NAMES[row.part], status=HAND_NAMES[row.status], request=row.request or "",
        asked_at=row.asked_at, due_at=row.due_at, accepted_at=row.accepted_at, answer=row.answer or "",
        answered_at=row.answered_at, verified_at=row.verified_at, reason=row.reason or "",
    )  # fmt: skip


def _steps(work: Work) -> list[StepFacts]:
    rows = work.connection.execute(_STEPS, {"case": work.case.id})
    names = {step.code: step.name for step in work.flow.steps}
    return [
        StepFacts(
            row.at, ACT_NAMES.get(row.act, row.act), names.get(row.to_stage, ""), row.unit or "",
            row.note or "", row.who,
        )
        for row in rows
    ]  # fmt: skip


def _visits(work: Work) -> list[VisitFacts]:
    rows = work.connection.execute(
        select(IncidentVisit.__table__)
        .where(IncidentVisit.case_id == work.case.id)
        .order_by(IncidentVisit.held_at, IncidentVisit.id)
    )
    return [
        VisitFacts(
            VISIT_NAMES[row.kind], row.held_at, row.reached,
            SATISFACTION_NAMES.get(row.satisfaction, ""), row.note or "", row.made_by,
        )
        for row in rows
    ]  # fmt: skip


def _agreed(work: Work, ring: KeyRing | None) -> MediationFacts:
    """Return the last mediation that came to an agreement."""
    lines = [
        line
        for line in stored.of_case(work.connection, work.case.id)
        if line.status == MediationStatus.AGREED and line.has_agreement
    ]
    if not lines:
        raise NotFoundError(f"no agreement of matter {work.case.number}")
    return _mediation_facts(work, ring, lines[:1])[0]


def _mediations(work: Work, ring: KeyRing | None) -> list[MediationFacts]:
    return _mediation_facts(work, ring, stored.of_case(work.connection, work.case.id)[::-1])


def _mediation_facts(work: Work, ring: KeyRing | None, lines: list[MediationLine]) -> list[MediationFacts]:
    numbers = [line.id for line in lines]
    agreements = sealed.agreements(work.connection, ring, numbers) if ring else {}
    said = (
        {each.session_id: each.text for each in sealed.minutes(work.connection, ring, numbers)}
        if ring
        else {}
    )
    unsaid = sealed.Terms(UNSAID)
    nothing = sealed.Terms("")
    found = []
    for line in lines:
        terms = agreements.get(line.id, unsaid if line.has_agreement and not ring else nothing)
        sittings = tuple(
            SittingFacts(each.held_at, each.place, said.get(each.id, "" if ring else UNSAID))
            for each in line.sittings
        )
        found.append(
            MediationFacts(
                kind=line.kind_name, committee=line.panel or _committee(work, line.level),
                level=line.level_name, status=line.status_name, opened_at=line.opened_at,
                ended_at=line.ended_at, mediators=line.mediators, sittings=sittings, terms=terms.terms,
                performance=terms.performance, follow_up_on=line.follow_up_on,
                followed_up_on=line.followed_up_on,
                kept="" if line.kept is None else "已履行" if line.kept else "未履行",
                reason=line.reason or "",
            )
        )  # fmt: skip
    return found


def _committee(work: Work, level: str) -> str:
    """Return the name of the people's mediation committee of the matter's village, town or city."""
    digits = {Tier.VILLAGE: 12, Tier.TOWN: 9, Tier.CITY: 0}[Tier(level)]
    return f"{place_name(work.connection, (work.case.village or '')[:digits])}人民调解委员会"


def _deliberations(work: Work) -> list[DeliberationFacts]:
    found = []
    for line in reversed(stored.deliberations(work.connection, work.case.id)):
        if line.outcome is None:
            continue
        found.append(
            DeliberationFacts(
                line.kind_name, line.held_at, line.place, line.question, line.invited, line.present or 0,
                line.votes_for or 0, line.votes_against or 0, line.abstained or 0, line.outcome.quorate,
                line.advice or "", line.minutes or "",
            )
        )  # fmt: skip
    return found


def _documents(work: Work) -> list[DocumentFacts]:
    rows = work.connection.execute(
        text("SELECT name, kind, added_at FROM incident_attachment WHERE case_id = :case ORDER BY id"),
        {"case": work.case.id},
    )
    return [DocumentFacts(row.name, _DOCUMENT_NAMES[row.kind], row.added_at) for row in rows]


_NAME = text("SELECT name FROM division WHERE code = :code")
_NAMES = text("""
SELECT h.name AS channel, k.name AS category, p.name AS parent, v.name AS village,
    t.name AS town, g.name AS grid
FROM incident i JOIN category k ON k.code = i.category LEFT JOIN category p ON p.code = k.parent
LEFT JOIN channel h ON h.code = i.channel LEFT JOIN division v ON v.code = i.village
LEFT JOIN division t ON t.code = left(i.village, 9) LEFT JOIN grid g ON g.id = i.grid_id
WHERE i.id = :case
""")
_STEPS = text("SELECT at, who, act, to_stage, unit, note FROM incident_step WHERE case_id = :case ORDER BY n")
