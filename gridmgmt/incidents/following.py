"""What a resident reads of a matter by its secret link: where it stands, by day, without who works on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, exists, func, select

from gridmgmt.errors import NotFoundError
from gridmgmt.incidents.actor import RESIDENT, Actor, on_matters
from gridmgmt.incidents.flows import stored as flows
from gridmgmt.incidents.flows.flow import Flow, Need
from gridmgmt.incidents.handling import service
from gridmgmt.incidents.handling.acts import Act
from gridmgmt.incidents.handling.intake import follow_hash
from gridmgmt.incidents.handling.models import IncidentCase, IncidentStep, IncidentVisit
from gridmgmt.incidents.handling.visits import VisitTold
from gridmgmt.incidents.models import Category, Incident
from gridmgmt.incidents.parties.models import IncidentAttachment

LONGEST_TOKEN = 64
# What a resident is told of an act; what is not named here stays inside. {unit} and {stage} are names.
TOLD = {
    Act.TAKE_IN: "已收到您的诉求", Act.HAND: "已交{unit}办理", Act.ACCEPT: "{unit}已接手",
    Act.STRIKE_OFF: "{unit}的办理已核对验收", Act.RAISE: "已报上一级办理", Act.LOWER: "已交基层办理",
    Act.SUPERVISE: "已列入督办", Act.ESCALATE: "已列入督办", Act.EXTEND: "办理期限延长",
    Act.SUSPEND: "暂停办理，等条件具备再办", Act.RESUME: "恢复办理", Act.REOPEN: "已重新办理",
    Act.MEDIATE: "已组织调解", Act.DELIBERATE: "已组织民议",
}  # fmt: skip


@dataclass(frozen=True)
class Passed:
    """One thing that happened, in words for the resident."""

    at: datetime
    words: str


@dataclass(frozen=True)
class Followed:
    """A matter as its resident sees it; `answer` only once it is theirs to read."""

    case_id: int
    area: str
    version: int
    number: str
    category: str
    words: str
    told_at: datetime
    due_at: datetime | None
    closed_at: datetime | None
    open: bool
    state: str
    answer: str | None
    photos: int
    satisfaction: int | None
    may_rate: bool
    passed: tuple[Passed, ...]


def followed(engine: Engine, token: str) -> Followed:
    """Return the matter of a secret link; NotFoundError for a token that opens none.

    `engine` is of the role `gridmgmt_matters`.
    """
    case_id, area = _opened(engine, token)
    with on_matters(engine, _resident(area)) as connection:
        case = connection.execute(select(IncidentCase.__table__).where(IncidentCase.id == case_id)).one()
        flow = flows.flow_of(connection, case.flow_id)
        matter = _matter(connection, case_id)
        steps = connection.execute(
            select(IncidentStep.__table__).where(IncidentStep.case_id == case_id).order_by(IncidentStep.n)
        ).all()
        rated = _rated(connection, case)
        pictures = select(func.count()).where(IncidentAttachment.case_id == case_id)
        return Followed(
            case_id=case_id, area=area, version=case.version, number=case.number, category=matter.name,
            words=matter.text or matter.title or "", told_at=case.opened_at, due_at=matter.due_at,
            closed_at=matter.closed_at, open=case.open, state=_state(case, flow),
            answer=case.answer if _is_told(case, flow) else None,
            photos=int(connection.scalar(pictures) or 0), satisfaction=matter.satisfaction if rated else None,
            may_rate=not case.open and not rated, passed=_passed(steps, flow),
        )  # fmt: skip


def rate(engine: Engine, token: str, satisfaction: int, note: str) -> bool:
    """Write how satisfied the resident is with a closed matter; True when that opens it again.

    Raises NotFoundError as `followed`, ConflictError when the matter is open or was rated, InputError for
    "satisfaction" or the words.
    """
    case_id, area = _opened(engine, token)
    service.visit(
        engine, _resident(area), case_id, None, VisitTold(reached=True, satisfaction=satisfaction, note=note)
    )
    with on_matters(engine, _resident(area)) as connection:
        return bool(connection.scalar(select(IncidentCase.open).where(IncidentCase.id == case_id)))


def _resident(area: str) -> Actor:
    return Actor(RESIDENT, None, area)


def _opened(engine: Engine, token: str) -> tuple[int, str]:
    if not token.isascii() or len(token) > LONGEST_TOKEN:
        raise NotFoundError("no matter by this link")
    with engine.connect() as connection:
        found = func.matter_followed(follow_hash(token)).table_valued("case_id", "area")
        row = connection.execute(select(found)).one_or_none()
    if row is None:
        raise NotFoundError("no matter by this link")
    return int(row.case_id), str(row.area)


def _matter(connection: Connection, case_id: int) -> Row[Any]:
    columns: list[Any] = [
        Incident.text, Incident.title, Incident.due_at, Incident.closed_at, Incident.satisfaction,
        Category.name,
    ]  # fmt: skip
    joined = select(*columns).join(Category, Category.code == Incident.category)
    return connection.execute(joined.where(Incident.id == case_id)).one()


def _rated(connection: Connection, case: Row[Any]) -> bool:
    found = exists().where(
        IncidentVisit.case_id == case.id,
        IncidentVisit.made_by == RESIDENT,
        IncidentVisit.held_at >= case.stage_since,
    )
    return bool(connection.scalar(select(found)))


def _state(case: Row[Any], flow: Flow) -> str:
    name = flow.step(case.stage).name
    if not case.open:
        return f"已办结（{name}）"
    if case.duplicate_of:
        return "与另一件同样的诉求一并办理"
    return "暂停办理" if case.suspended_at else f"正在办理：{name}"


def _is_told(case: Row[Any], flow: Flow) -> bool:
    """Whether the answer is the resident's to read: the matter is closed, or comes to asking them."""
    return not case.open or any(Need.VISIT in move.needs for move in flow.step(case.stage).moves)


def _passed(steps: Sequence[Row[Any]], flow: Flow) -> tuple[Passed, ...]:
    told = [Passed(step.at, _words(step, flow)) for step in steps]
    return tuple(each for each in told if each.words)


def _words(step: Row[Any], flow: Flow) -> str:
    act = Act(step.act)
    if act is Act.MOVE:
        entered = flow.step(step.to_stage)
        return f"已办结（{entered.name}）" if entered.final else f"进入“{entered.name}”"
    if act is Act.LINK:
        return _linked(step.detail)
    if act is Act.VISIT:
        return "您作了评价" if step.who == RESIDENT else "工作人员作了回访或走访"
    return TOLD.get(act, "").format(unit=step.unit or "承办单位")


def _linked(detail: Mapping[str, Any]) -> str:
    return "与同样的诉求一并办理" if detail.get("with") else "改为单独办理"
