"""What a template may name: the facts of a matter, a meeting and a paper, each annotated with what it says.

The list in `docs/methods/papers.md` is made from here, and a test compares them.
"""

from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Annotated, get_args, get_type_hints

from gridmgmt.incidents.papers.kinds import KINDS, Fact

# What stands in a draft where the paper will hold what is sealed.
UNSAID = "（出具时填入）"


@dataclass(frozen=True)
class PaperFacts:
    """这份文书。"""

    name: Annotated[str, "文书名称"]
    number: Annotated[str, "文书编号，草稿为“（待编）”"]
    day: Annotated[date, "出具日期"]
    by: Annotated[str, "出具人账号"]
    office: Annotated[str, "出具单位"]
    city: Annotated[str, "县市名称"]
    draft: Annotated[bool, "是不是草稿"]


@dataclass(frozen=True)
class MatterFacts:
    """这件诉求。"""

    number: Annotated[str, "诉求编号"]
    title: Annotated[str, "标题"]
    words: Annotated[str, "诉求内容，可能多行"]
    channel: Annotated[str, "来源渠道"]
    ledger: Annotated[str, "台账：意见建议、利益诉求或投诉举报"]
    category: Annotated[str, "小类"]
    group: Annotated[str, "大类，没有时为空"]
    address: Annotated[str, "地址，可能为空"]
    village: Annotated[str, "村社区"]
    town: Annotated[str, "镇街"]
    grid: Annotated[str, "网格，可能为空"]
    level: Annotated[str, "现在由哪级办理"]
    stage: Annotated[str, "办理环节"]
    occurred_at: Annotated[datetime, "发生时间"]
    reported_at: Annotated[datetime, "受理时间"]
    due_at: Annotated[datetime | None, "办结时限，可能没有"]
    closed_at: Annotated[datetime | None, "办结时间，可能没有"]
    answer: Annotated[str, "给居民的答复，可能为空"]
    satisfaction: Annotated[str, "满意度，没有回访时为空"]


@dataclass(frozen=True)
class PersonFacts:
    """当事人：只有姓名。"""

    part: Annotated[str, "诉求人、对方或其他有关人员"]
    name: Annotated[str, "姓名"] = field(repr=False)


@dataclass(frozen=True)
class ContactFacts:
    """当事人：姓名和电话。"""

    part: Annotated[str, "诉求人、对方或其他有关人员"]
    name: Annotated[str, "姓名"] = field(repr=False)
    phone: Annotated[str, "联系电话，可能为空"] = field(repr=False)


@dataclass(frozen=True)
class HandFacts:
    """交办给部门的一项。"""

    unit: Annotated[str, "部门"]
    part: Annotated[str, "主办或协办"]
    status: Annotated[str, "办理状态"]
    request: Annotated[str, "交办要求，可能为空"]
    asked_at: Annotated[datetime, "交办时间"]
    due_at: Annotated[datetime | None, "反馈时限"]
    accepted_at: Annotated[datetime | None, "签收时间"]
    answer: Annotated[str, "办理情况，可能多行"]
    answered_at: Annotated[datetime | None, "反馈时间"]
    verified_at: Annotated[datetime | None, "验收销账时间"]
    reason: Annotated[str, "退回或验收未过的原因"]


@dataclass(frozen=True)
class StepFacts:
    """办理经过的一步。"""

    at: Annotated[datetime, "时间"]
    act: Annotated[str, "做了什么"]
    stage: Annotated[str, "到了哪个环节"]
    unit: Annotated[str, "涉及的部门，可能为空"]
    note: Annotated[str, "意见，可能为空"]
    by: Annotated[str, "经办账号"]


@dataclass(frozen=True)
class VisitFacts:
    """一次走访或回访。"""

    kind: Annotated[str, "回访、现场走访等"]
    held_at: Annotated[datetime, "时间"]
    reached: Annotated[bool, "是否见到或联系上"]
    satisfaction: Annotated[str, "满意度，没有评价时为空"]
    note: Annotated[str, "记录，可能为空"]
    by: Annotated[str, "经办账号"]


@dataclass(frozen=True)
class SittingFacts:
    """一次调解会。"""

    held_at: Annotated[datetime, "时间"]
    place: Annotated[str, "地点"]
    minutes: Annotated[str, "调解笔录，可能多行"] = field(repr=False)


@dataclass(frozen=True)
class MediationFacts:
    """一次调解。"""

    kind: Annotated[str, "人民调解、公调对接等"]
    committee: Annotated[str, "调解委员会"]
    level: Annotated[str, "村社区、镇街或市级"]
    status: Annotated[str, "结果"]
    opened_at: Annotated[datetime, "启动时间"]
    ended_at: Annotated[datetime | None, "结束时间，可能没有"]
    mediators: Annotated[tuple[str, ...], "调解员姓名"]
    sittings: Annotated[tuple[SittingFacts, ...], "调解会"]
    terms: Annotated[str, "协议内容，可能多行"] = field(repr=False)
    performance: Annotated[str, "履行方式、时限，可能为空"] = field(repr=False)
    follow_up_on: Annotated[date | None, "约定回访日期"]
    followed_up_on: Annotated[date | None, "实际回访日期"]
    kept: Annotated[str, "已履行、未履行，未回访时为空"]
    reason: Annotated[str, "未成或终止的原因，可能为空"]


@dataclass(frozen=True)
class DeliberationFacts:
    """一次民议。"""

    kind: Annotated[str, "即时评议或现场评议"]
    held_at: Annotated[datetime, "时间"]
    place: Annotated[str, "地点"]
    question: Annotated[str, "议题"]
    invited: Annotated[int, "应到人数"]
    present: Annotated[int, "实到人数"]
    votes_for: Annotated[int, "赞成"]
    votes_against: Annotated[int, "反对"]
    abstained: Annotated[int, "弃权"]
    quorate: Annotated[bool, "到会是否达到规定人数"]
    advice: Annotated[str, "评议建议，可能为空；供办理参考"]
    minutes: Annotated[str, "评议记录，可能多行"]


@dataclass(frozen=True)
class DocumentFacts:
    """一份附件。"""

    name: Annotated[str, "文件名"]
    kind: Annotated[str, "照片或文件"]
    added_at: Annotated[datetime, "加入时间"]


@dataclass(frozen=True)
class ItemFacts:
    """议程中的一件诉求：不写内容，不写人。"""

    number: Annotated[str, "诉求编号"]
    category: Annotated[str, "小类"]
    village: Annotated[str, "村社区"]
    reported_at: Annotated[datetime, "受理时间"]
    state: Annotated[str, "办理中或已办结"]
    closed_at: Annotated[datetime | None, "办结时间，可能没有"]


@dataclass(frozen=True)
class MeetingFacts:
    """一次民心沟通会。"""

    title: Annotated[str, "会议名称"]
    place: Annotated[str, "地点"]
    held_at: Annotated[datetime, "时间"]
    area: Annotated[str, "范围：村社区、镇街或县市"]
    attended: Annotated[int, "到会人数，未召开时为 0"]
    report: Annotated[str, "通报内容和群众意见，可能多行"]
    items: Annotated[tuple[ItemFacts, ...], "议程"]


# What each name of a template is: one of a class, or several.
SHAPES: dict[Fact, tuple[type, bool]] = {
    Fact.PAPER: (PaperFacts, False), Fact.MATTER: (MatterFacts, False), Fact.PEOPLE: (PersonFacts, True),
    Fact.CONTACTS: (ContactFacts, True), Fact.HAND: (HandFacts, False), Fact.HANDS: (HandFacts, True),
    Fact.STEPS: (StepFacts, True), Fact.VISITS: (VisitFacts, True), Fact.MEDIATION: (MediationFacts, False),
    Fact.MEDIATIONS: (MediationFacts, True), Fact.DELIBERATIONS: (DeliberationFacts, True),
    Fact.DOCUMENTS: (DocumentFacts, True), Fact.MEETING: (MeetingFacts, False),
}  # fmt: skip
INNER = (SittingFacts, ItemFacts)


def table_of(shape: type) -> list[tuple[str, str]]:
    """Return the names of a class of facts with what each says."""
    hints = get_type_hints(shape, include_extras=True)
    return [(each.name, str(get_args(hints[each.name])[-1])) for each in fields(shape)]


def reference() -> str:
    """Return the list of all names as Markdown, as it stands in the documentation."""
    parts = []
    for kind in KINDS.values():
        parts.append(f"- {kind.name} `{kind.template}`：{', '.join(f'`{fact}`' for fact in kind.facts)}")
    seen: set[type] = set()
    for shape, several in SHAPES.values():
        names = [other for other, (same, _) in SHAPES.items() if same is shape]
        if shape in seen:
            continue
        seen.add(shape)
        many = "（列表，用 for 逐个写）" if several and len(names) == 1 else ""
        parts.append(_section("、".join(f"`{each}`" for each in names) + many, shape))
    for shape in INNER:
        owner = _owner(shape)
        parts.append(_section(f"`{owner}` 中的每一个", shape))
    return "\n".join(parts) + "\n"


def _section(heading: str, shape: type) -> str:
    lines = [f"\n### {heading}\n", f"{shape.__doc__}\n", "| 名称 | 内容 |", "| --- | --- |"]
    return "\n".join(lines + [f"| `{name}` | {words} |" for name, words in table_of(shape)])


def _owner(shape: type) -> str:
    for fact, (outer, _) in SHAPES.items():
        for name, hint in get_type_hints(outer).items():
            if shape in get_args(hint):
                return f"{fact}.{name}"
    raise LookupError(shape.__name__)
