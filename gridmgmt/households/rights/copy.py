"""The copy (查阅、复制): everything that is held of one person, in words, from every table that holds any."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, text

from gridmgmt.calendar import CHINA
from gridmgmt.errors import InputError, TamperedError
from gridmgmt.households.actor import Actor, on_roster
from gridmgmt.households.changes import requests
from gridmgmt.households.changes.models import (
    IMPORTED,
    KIND_NAMES,
    ChangeStatus,
    Double,
    ReviewStatus,
)
from gridmgmt.households.models import (
    CARE_NAMES,
    LEFT_NAMES,
    RELATION_NAMES,
    SEX_NAMES,
    TENURE_NAMES,
    Care,
    Left,
    Tenure,
)
from gridmgmt.households.reading.residents import DAMAGED
from gridmgmt.households.rights import access
from gridmgmt.households.rights.subject import ASKED_BY, Subject, subject
from gridmgmt.households.visits import stored as visits
from gridmgmt.households.visits.models import StopStatus
from gridmgmt.privacy import audit
from gridmgmt.privacy.cipher import unseal
from gridmgmt.privacy.keyring import KeyRing
from gridmgmt.privacy.masks import mask_identity, mask_phone

ELSEWHERE = "本镇街以外"
_NUMBERS = re.compile(r"(?<![0-9])(?:[0-9]{17}[0-9Xx]|1[3-9][0-9]{9}|0[0-9]{2,3}-[0-9]{7,8})(?![0-9])")
_CHANGE_STATUS = {
    ChangeStatus.OPEN: "待审批", ChangeStatus.APPROVED: "已同意", ChangeStatus.REFUSED: "未同意",
    ChangeStatus.WITHDRAWN: "已撤回",
}  # fmt: skip
_STOP_STATUS = {
    StopStatus.OPEN: "待走访", StopStatus.DONE: "已走访", StopStatus.NOT_DONE: "未办成",
}  # fmt: skip
_DOUBLES = {
    Double.SAME_IDENTITY: "身份证号相同", Double.SAME_PERSON: "姓名、生日、住址相同",
    Double.SAME_PHONE: "电话相同",
}  # fmt: skip
_REVIEWS = {
    ReviewStatus.OPEN: "待核对", ReviewStatus.SAME: "是同一人", ReviewStatus.MOVED: "已迁来",
    ReviewStatus.OTHER: "是另一人", ReviewStatus.DROPPED: "未采用",
}  # fmt: skip
_PARTS = {"complainant": "诉求人", "respondent": "对方", "other": "其他有关人员"}
_STATES = {"open": "办理中", "closed": "已办结"}
# Field of a row -> its name; of the history and of requests.
FIELD_NAMES = {
    "name": "姓名", "relation": "与户主关系", "birth_on": "出生日期", "sex": "性别",
    "identity": "身份证号", "identity_number": "身份证号", "phone": "电话", "household_id": "户号",
    "registered_dwelling_id": "户籍住址", "registered_here": "户籍在此", "left_on": "离开日期",
    "left_why": "离开原因", "restricted_on": "限制处理", "valid_to": "居住至", "valid_from": "自",
    "dwelling_id": "住处", "ended_on": "结束", "expires": "有效期至", "category": "关爱类别",
    "basis": "依据", "tenure": "居住", "new_head": "新户主",
}  # fmt: skip
_WORDS: dict[str, Mapping[Any, str]] = {
    "relation": {**RELATION_NAMES, **TENURE_NAMES}, "tenure": TENURE_NAMES, "sex": SEX_NAMES,
    "left_why": LEFT_NAMES, "category": CARE_NAMES,
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A table of the copy; cells are texts, "" where nothing is held."""

    key: str
    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class PersonCopy:
    """What is held of a person at a moment; `made_by` is the account that gave it out."""

    person_id: int
    name: str
    made_at: datetime
    made_by: str
    asked_by: str
    parts: tuple[Part, ...]


def copy(engine: Engine, ring: KeyRing, actor: Actor, person_id: int, asked_by: str = "self") -> PersonCopy:
    """Return everything held of a person of the office's town, sealed values opened.

    The numbers of others in notes are masked. Leaves one line, person.copy, in the audit log, which the copy
    itself does not show yet. Raises NotFoundError as in `subject`, InputError for an unknown `asked_by`.
    """
    if asked_by not in ASKED_BY:
        raise InputError("asked_by", asked_by, " | ".join(ASKED_BY))
    with on_roster(engine, actor) as connection:
        who = subject(connection, actor, person_id)
        made = connection.execute(text("SELECT now()")).scalar_one().astimezone(CHINA)
        found = PersonCopy(who.id, who.name, made, actor.username, asked_by, _parts(connection, ring, who))
        audit.record(
            connection, "person.copy", area=actor.area, households=[who.household_id], person_id=who.id,
            purpose=asked_by,
        )  # fmt: skip
    return found


def as_data(made: PersonCopy) -> dict[str, Any]:
    """Return the copy as plain data for JSON: a form that other programs read (个人信息保护法 45)."""
    return {
        "person": made.person_id,
        "name": made.name,
        "made_at": made.made_at.isoformat(timespec="seconds"),
        "made_by": made.made_by,
        "asked_by": ASKED_BY[made.asked_by],
        "parts": [
            {
                "key": part.key,
                "title": part.title,
                "note": part.note,
                "rows": [dict(zip(part.headings, row, strict=True)) for row in part.rows],
            }
            for part in made.parts
        ],
    }


def _parts(connection: Connection, ring: KeyRing, who: Subject) -> tuple[Part, ...]:
    person = _rows(connection, "SELECT * FROM person WHERE id = :person", who)[0]
    own = {clear for field in ("identity", "phone") if (clear := _clear(ring, person, field))}
    return (
        _person(connection, ring, who, person),
        _residency(connection, who),
        _care(connection, who),
        _events(connection, who),
        _changes(connection, ring, who),
        _history(connection, ring, who, person),
        _visits(connection, ring, who, own),
        _rounds(connection, who),
        _reviews(connection, who),
        _matters(connection, who),
        _access(connection, who),
    )


def _person(connection: Connection, ring: KeyRing, who: Subject, person: Any) -> Part:
    said = (
        ("姓名", person.name),
        ("与户主关系", who.relation_name),
        ("性别", SEX_NAMES.get(person.sex, "")),
        ("出生日期", _word(person.birth_on)),
        ("身份证号", _clear(ring, person, "identity")),
        ("电话", _clear(ring, person, "phone")),
        ("登记住址", who.address),
        ("户籍住址", _place(connection, person.registered_dwelling_id)),
        ("所在网格", who.grid),
        ("离开", f"{who.left_on} {LEFT_NAMES[Left(who.left_why)]}" if who.left_on and who.left_why else ""),
        ("限制处理", f"{who.restricted_on} 起" if who.restricted_on else "否"),
        ("最近更新", _moment(person.updated_at)),
    )
    return Part("person", "本人信息", ("项目", "内容"), said)


def _residency(connection: Connection, who: Subject) -> Part:
    rows = _rows(connection, "SELECT * FROM residency WHERE person_id = :person ORDER BY valid_from, id", who)
    return Part("residency", "居住", ("住处", "居住性质", "自", "至"), tuple(
        (_place(connection, row.dwelling_id), TENURE_NAMES[Tenure(row.relation)], _word(row.valid_from),
         _word(row.valid_to))
        for row in rows
    ))  # fmt: skip


def _care(connection: Connection, who: Subject) -> Part:
    rows = _rows(connection, """
        SELECT * FROM household_care WHERE person_id = :person OR (household_id = :home AND person_id IS NULL)
        ORDER BY valid_from, id
    """, who)  # fmt: skip
    return Part("care", "关爱", ("类别", "依据", "自", "有效期至", "结束"), tuple(
        (CARE_NAMES[Care(row.category)], row.basis, _word(row.valid_from), _word(row.expires),
         _word(row.ended_on))
        for row in rows
    ))  # fmt: skip


def _events(connection: Connection, who: Subject) -> Part:
    rows = _rows(connection, "SELECT * FROM roster_event WHERE person_id = :person ORDER BY id", who)
    names = {IMPORTED: "导入"} | {kind.value: name for kind, name in KIND_NAMES.items()}
    return Part("events", "变动", ("日期", "事项", "登记时间", "经办账号"), tuple(
        (_word(row.on_date), names[row.kind], _moment(row.at), row.made_by) for row in rows
    ))  # fmt: skip


def _changes(connection: Connection, ring: KeyRing, who: Subject) -> Part:
    rows = _rows(connection, "SELECT * FROM roster_change WHERE person_id = :person ORDER BY id", who)
    headings = ("提出时间", "事项", "内容", "理由", "结果", "提出账号", "决定账号", "意见")
    return Part("changes", "变动申请", headings, tuple(
        (_moment(row.made_at), KIND_NAMES[row.kind], _asked(ring, row), row.reason,
         _CHANGE_STATUS[ChangeStatus(row.status)], row.made_by, row.decided_by or "", row.decision or "")
        for row in rows
    ))  # fmt: skip


def _asked(ring: KeyRing, row: Any) -> str:
    values = requests.opened(ring, row).wanted.values
    return "；".join(
        f"{FIELD_NAMES.get(field, field)}：{_said(field, value)}" for field, value in values.items()
    )


def _history(connection: Connection, ring: KeyRing, who: Subject, person: Any) -> Part:
    rows = _rows(connection, """
        SELECT id, what, row_id, before, at, made_by,
            lead(before) OVER (PARTITION BY what, row_id ORDER BY id) AS after,
            CASE what WHEN 'person' THEN (SELECT to_jsonb(p) FROM person p WHERE p.id = row_id)
                WHEN 'residency' THEN (SELECT to_jsonb(r) FROM residency r WHERE r.id = row_id)
                WHEN 'household_care' THEN (SELECT to_jsonb(c) FROM household_care c WHERE c.id = row_id)
            END AS now
        FROM roster_history WHERE person_id = :person ORDER BY id
    """, who)  # fmt: skip

    def was(field: str, value: Any) -> str:
        if field in ("dwelling_id", "registered_dwelling_id"):
            return _place(connection, value)
        return _before(ring, bytes(person.salt or b""), field, value)

    lines = [
        (_moment(row.at), FIELD_NAMES[field], was(field, row.before.get(field)), row.made_by)
        for row in rows
        for field in FIELD_NAMES
        if row.before.get(field) != (row.after or row.now or {}).get(field)
    ]
    return Part("history", "改动前的内容", ("改动时间", "项目", "原来", "改动账号"), tuple(lines))


def _before(ring: KeyRing, salt: bytes, field: str, value: Any) -> str:
    if value is None or field not in ("identity", "phone"):
        return _said(field, value)
    try:
        return unseal(ring, salt, field, bytes.fromhex(value.removeprefix("\\x")))
    except TamperedError:
        return DAMAGED


def _visits(connection: Connection, ring: KeyRing, who: Subject, own: set[str]) -> Part:
    since = connection.execute(
        text("SELECT min(valid_from) FROM residency WHERE person_id = :person"), {"person": who.id}
    ).scalar()
    rows = tuple(
        (
            _moment(line.visited_at),
            line.purpose_name,
            line.outcome_name,
            _mask_others(line.note, own),
            line.made_by,
        )
        for line in visits.of_household(connection, ring, who.household_id)
        if (since is None or line.day >= since) and (who.left_on is None or line.day <= who.left_on)
    )
    note = "走访以户为单位记录，内容也可能涉及同户其他人；他人的号码已遮盖。" if rows and who.others else ""
    return Part("visits", "走访记录", ("时间", "目的", "结果", "记录", "走访账号"), rows, note)


def _rounds(connection: Connection, who: Subject) -> Part:
    rows = _rows(connection, """
        SELECT r.title, r.created_at, s.status, s.reason
        FROM visit_stop s JOIN visit_round r ON r.id = s.round_id WHERE s.household_id = :home ORDER BY s.id
    """, who)  # fmt: skip
    return Part("rounds", "提醒走访", ("时间", "名称", "结果", "说明"), tuple(
        (_moment(row.created_at), row.title, _STOP_STATUS[StopStatus(row.status)], row.reason or "")
        for row in rows
    ))  # fmt: skip


def _reviews(connection: Connection, who: Subject) -> Part:
    rows = _rows(connection, "SELECT * FROM roster_review WHERE person_id = :person ORDER BY id", who)
    note = "导入文件中可能是本人的行。内容可能属于他人，核对之前不列出。" if rows else ""
    return Part("reviews", "待核对的导入行", ("时间", "文件", "行", "为什么", "结果"), tuple(
        (_moment(row.made_at), row.file, str(row.row_number), _DOUBLES[Double(row.kind)],
         _REVIEWS[ReviewStatus(row.status)])
        for row in rows
    ), note)  # fmt: skip


def _matters(connection: Connection, who: Subject) -> Part:
    # The room of matters stands beside this one; the database's function is the door between them.
    rows = _rows(connection, "SELECT * FROM matters_of_person(:person)", who)
    note = "按登记的电话找到，同用一个电话的人的诉求也在内。" if rows else ""
    return Part("matters", "诉求", ("时间", "受理编号", "类别", "身份", "状态"), tuple(
        (_moment(row.told_at), row.number, row.category, _PARTS[row.part], _STATES[row.status])
        for row in rows
    ), note)  # fmt: skip


def _access(connection: Connection, who: Subject) -> Part:
    lines = access.lines(connection, person_id=who.id)
    return Part("access", "谁看过、用过", ("时间", "账号", "身份", "事项", "项目", "目的"), tuple(
        (_moment(line.at), line.who, line.by, line.what_name, line.field_name, line.purpose_name)
        for line in lines
    ))  # fmt: skip


def _rows(connection: Connection, statement: str, who: Subject) -> Sequence[Any]:
    return connection.execute(text(statement), {"person": who.id, "home": who.household_id}).all()


def _clear(ring: KeyRing, person: Any, field: str) -> str:
    sealed = getattr(person, field)
    return unseal(ring, bytes(person.salt), field, sealed) if sealed is not None else ""


def _place(connection: Connection, dwelling_id: int | None) -> str:
    if dwelling_id is None:
        return ELSEWHERE
    found = connection.execute(
        text(
            "SELECT concat_ws(' ', b.address, d.door) FROM dwelling d JOIN building b ON b.id = d.building_id"
            " WHERE d.id = :dwelling"
        ),
        {"dwelling": dwelling_id},
    ).scalar()
    return str(found or ELSEWHERE)


def _mask_others(words: str, own: Iterable[str]) -> str:
    def mask(found: re.Match[str]) -> str:
        number = found[0]
        if number in own:
            return number
        return mask_identity(number) if len(number) == 18 else mask_phone(number)

    return _NUMBERS.sub(mask, words)


def _said(field: str, value: Any) -> str:
    return (
        _WORDS.get(field, {}).get(value, _word(value)) if not isinstance(value, list | dict) else "（见事项）"
    )


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "是" if value else "否"
    return "" if value is None else str(value)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(CHINA):%Y-%m-%d %H:%M}"
