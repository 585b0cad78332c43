"""What the pages of mediation share: the blueprint, who may, how a form is read and what its refusal says."""

from datetime import date, datetime

from flask import Blueprint, request

from gridmgmt.calendar import CHINA
from gridmgmt.db.models import Role
from gridmgmt.errors import ConflictError, InputError
from gridmgmt.incidents.mediation import mediators, service

pages = Blueprint("mediation", __name__)

OFFICES = (Role.TOWN_OFFICER, Role.COMMAND)
SEES = (*OFFICES, Role.GRID_WORKER, Role.DEPARTMENT)
# What an InputError's field means to whoever filled the form in.
REFUSED = {
    "mediators": f"请选 1 到 {service.MOST_MEDIATORS} 名在聘的调解员。",
    "kind": "请选方式。",
    "level": "调解层级不能高于诉求现在的层级。",
    "panel": "请从列表中选调委会。",
    "held_at": "时间应在一年以内；已开的会不能晚于现在。",
    "place": "请填地点，不超过 200 字，不写电话、身份证号。",
    "minutes": "请填调解笔录，不超过 2 万字。",
    "terms": "请填协议内容，不超过 2 万字。",
    "performance": "履行方式、时限不超过 2 万字。",
    "follow_up_on": "回访日期应从今天起，三年以内。",
    "reason": "请写原因。",
    "matter_text": "请写 1 到 500 字。",
    "matter_number": "这里像有身份证号或电话号码，请去掉：不加密的地方只写事，不写人。",
    "purpose": "请选查看的用途。",
    "question": "请填议题，不超过 300 字。",
    "invited": "应到人数为 1 到 2000。",
    "present": "实到人数不能多于应到人数。",
    "votes": "赞成、反对、弃权加起来应等于实到人数。",
    "advice": "建议不超过 500 字。",
    "name": "请填姓名，不超过 40 字。",
    "area": "请选本辖区的村社区或镇街。",
    "specialities": f"专长每个不超过 20 字，至多 {mediators.MOST_SPECIALITIES} 个。",
    "title": "请填会议名称，不超过 60 字。",
    "matters": "议程里有的编号不是本辖区的诉求，请核对。",
    "attended": "请填到会人数。",
    "report": "请写通报内容，不超过 4000 字。",
    "number": "人数请填数字。",
}
CHANGED = "别人刚刚改过，或这件已办结、暂停；请看最新状态后再试，您写的还在下面。"
EARLY = "还没到安排的时间，或者已经处理过了。"


def why(error: InputError | ConflictError, conflict: str = CHANGED) -> str:
    """Return what a person reads about what was not taken; an unknown field is raised again."""
    if isinstance(error, ConflictError):
        return conflict
    if error.field not in REFUSED:
        raise error
    return REFUSED[error.field]


def moment(field: str, said: str) -> datetime:
    """Return a moment as a form says it, in China's time."""
    try:
        return datetime.fromisoformat(said).replace(tzinfo=CHINA)
    except ValueError as error:
        raise InputError(field, said, "day and time") from error


def day(field: str, said: str) -> date:
    """Return a day as a form says it."""
    try:
        return date.fromisoformat(said)
    except ValueError as error:
        raise InputError(field, said, "a day") from error


def number(said: str | None) -> int:
    """Return a number as a form says it; InputError of "number" for anything else."""
    text = (said or "").strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= 6):
        raise InputError("number", text, "a number")
    return int(text)


def numbers(name: str) -> tuple[int, ...]:
    """Return the numbers that a form gives under one name."""
    return tuple(number(each) for each in request.form.getlist(name))


def version() -> int | None:
    """Return the version that whoever sends the form saw."""
    return request.form.get("version", type=int)
