"""What an account's form or file says, checked against the city: role, area, department."""

from collections.abc import Collection, Mapping
from typing import Any

from gridmgmt.db.identity import BOUND, LONGEST_NAME
from gridmgmt.db.models import ROLE_NAMES, Proposal, Role
from gridmgmt.errors import InputError
from gridmgmt.incidents.handling.options import options
from gridmgmt.privacy.accounts import NewAccount, check
from gridmgmt.web.areas import Place, Territory
from gridmgmt.web.databases import reader

MOST_SUGGESTED = 20
LEVELS = {Role.GRID_WORKER: "grid", Role.TOWN_OFFICER: "town"}

# What an InputError's field means to whoever filled the form in.
REFUSED = {
    "username": "账号须为 2 至 64 个字母、数字、汉字或 . _ @ -，不含空格。",
    "display_name": f"请填写姓名，至多 {LONGEST_NAME} 个字。",
    "role": "请选择一个角色；系统、安全、审计管理员各至少要留一个在用的。",
    "kind": "系统、安全、审计管理员不能互相改任，请另建账号。",
    "active": "这是最后一个在用的这类管理员，不能停用。",
    "own": "不能修改或停用自己的账号，请另一位安全管理员来做。",
    "second": "管理员账号的这项改动要另有在用的系统管理员确认，现在没有。请在服务器上用命令行办理。",
    "area": "网格长须绑定现有的网格，镇街须绑定现有的镇街：输入名称后从列表里选。",
    "unit": "部门账号须从列表里选一个部门。",
}


def listed_units(present: str | None = None) -> list[str]:
    """Return the names of the departments that an account may belong to, with the `present` one."""
    with reader().connect() as connection:
        known = options(connection).departments
    return sorted({*known, *filter(None, [present])})


def new_account(
    here: Territory, units: Collection[str], told: Mapping[str, Any], username: str = ""
) -> NewAccount:
    """Return the account that a form or a row describes; area and department only where the role has one.

    Raises InputError, the field being one of `REFUSED`.
    """
    role = role_of(str(told.get("role", "")))
    area = _area(here, role, str(told.get("area", ""))) if role in BOUND else None
    unit = str(told.get("unit", "")).strip() if role is Role.DEPARTMENT else None
    if unit and unit not in units:
        raise InputError("unit", unit, "a department of the city")
    name = username or str(told.get("username", "")).strip()
    new = NewAccount(name, str(told.get("display_name", "")).strip(), role.value, area, unit or None)
    check(new)
    return new


# What was done to an administrator's account, for whoever confirms it.
PROPOSALS = {
    Proposal.NEW: "新建账号", Proposal.ROLE: "改任管理员", Proposal.OPENED: "重新启用",
    Proposal.PASSWORD: "重设密码", Proposal.FACTOR: "清除两步验证", Proposal.PROVIDER: "绑定统一身份",
}  # fmt: skip


def role_of(told: str) -> Role:
    """Return the role of that word or Chinese name; InputError when there is none."""
    named = {name: role for role, name in ROLE_NAMES.items()} | {role.value: role for role in Role}
    role = named.get(told.strip())
    if role is None:
        raise InputError("role", told, " | ".join(Role))
    return role


def found_place(here: Territory, told: str) -> Place | None:
    """Return the grid or town of a code, or of a name that only one has; None where there is no such one."""
    told = told.strip()
    place = here.place(told)
    if place:
        return place
    named = [each for level in ("town", "grid") for each in here.inside(level) if each.name == told]
    return named[0] if len(named) == 1 else None


def suggestions(here: Territory, told: Mapping[str, str]) -> list[Place]:
    """Return up to 20 places of the role's level whose code or name holds what was typed."""
    words = told.get("area", "").strip()
    try:
        level = LEVELS[role_of(told.get("role", ""))]
    except (InputError, KeyError):
        return []
    begins = [place for place in here.inside(level) if place.code.startswith(words)]
    holds = [place for place in here.inside(level) if words in f"{place.path} {place.name}"]
    return list({place.code: place for place in [*begins, *holds]}.values())[:MOST_SUGGESTED]


def _area(here: Territory, role: Role, told: str) -> str:
    place = found_place(here, told)
    if place is None or place.level != LEVELS[role]:
        raise InputError("area", told, f"an area of the level {LEVELS[role]}")
    return place.code
