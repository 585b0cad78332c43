"""Tables of plans: a plan is a branch of the grids in force, with every edit that led to it."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from geoalchemy2 import WKBElement
from sqlalchemy import ForeignKey, Identity, PrimaryKeyConstraint, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base, geometry
from gridmgmt.db.models import NOW, Timestamp, one_of
from gridmgmt.grids.models import GridKind


class PlanStatus(StrEnum):
    """Draft: being drawn. Published: frozen, in force since or from its day. Retired: given up."""

    DRAFT = "draft"
    PUBLISHED = "published"
    RETIRED = "retired"


PLAN_STATUS_NAMES = {
    PlanStatus.DRAFT: "草稿",
    PlanStatus.PUBLISHED: "已发布",
    PlanStatus.RETIRED: "已放弃",
}


class Operation(StrEnum):
    """What an edit does."""

    SPLIT = "split"
    SPLIT_EVENLY = "split_evenly"
    MERGE = "merge"
    MOVE_VERTEX = "move_vertex"
    MOVE_EDGE = "move_edge"
    REASSIGN = "reassign"
    DRAW = "draw"
    RENAME = "rename"
    RENUMBER = "renumber"
    SET_KIND = "set_kind"
    PROPOSE = "propose"
    REPAIR = "repair"
    REBASE = "rebase"


OPERATION_NAMES = {
    Operation.SPLIT: "分割",
    Operation.SPLIT_EVENLY: "均分",
    Operation.MERGE: "合并",
    Operation.MOVE_VERTEX: "移点",
    Operation.MOVE_EDGE: "调边",
    Operation.REASSIGN: "划归",
    Operation.DRAW: "新建",
    Operation.RENAME: "改名",
    Operation.RENUMBER: "改码",
    Operation.SET_KIND: "改类型",
    Operation.PROPOSE: "自动划分",
    Operation.REPAIR: "修补",
    Operation.REBASE: "跟上现行网格",
}


class Plan(Base):
    """A branch of the grids in force.

    `base_on` is the day whose grids in force it began from. `version` counts its edits, undone or not, so
    that who edits an older one is told. `scope` is the division code it is about ('' for the whole city).
    `locked_by` keeps others from editing. `record` says what publishing did, so that it can be taken back
    before its day; `settled_at` when households and open matters were moved.
    """

    __tablename__ = "plan"
    __table_args__ = (one_of("status", PlanStatus),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("plan.id"))
    scope: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default=text("'draft'"))
    author: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    base_on: Mapped[date]
    version: Mapped[int] = mapped_column(server_default=text("0"))
    locked_by: Mapped[str | None] = mapped_column(Text)
    published_at: Mapped[datetime | None] = mapped_column(Timestamp)
    published_by: Mapped[str | None] = mapped_column(Text)
    in_force_on: Mapped[date | None]
    explanation: Mapped[str | None] = mapped_column(Text)
    settled_at: Mapped[datetime | None] = mapped_column(Timestamp)
    record: Mapped[dict[str, Any] | None] = mapped_column(JSONB)


class PlanGrid(Base):
    """A grid as a plan has it now: those that its edits changed or made, and those that they took away.

    `key` is the code of a grid in force, or n1, n2 … of a new one. `gone` grids are no longer in the plan;
    their row says so. What has no row is as in force. `code` is the code that was asked for by renumbering.
    """

    __tablename__ = "plan_grid"
    __table_args__ = (PrimaryKeyConstraint("plan_id", "key"), one_of("kind", GridKind))

    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(Text)
    gone: Mapped[bool]
    code: Mapped[str | None] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    purpose: Mapped[str | None] = mapped_column(Text)
    village: Mapped[str] = mapped_column(Text)
    geom: Mapped[WKBElement | None] = mapped_column(geometry("MULTIPOLYGON"))


class PlanEdit(Base):
    """One edit, in order; `before` and `after` hold the grids it changed, to undo and redo it.

    Each is a dict key -> null (not there) or {code, name, kind, purpose, village, wkb (hex)}. An undone edit
    stays until another one is made after it.
    """

    __tablename__ = "plan_edit"
    __table_args__ = (UniqueConstraint("plan_id", "number"), one_of("operation", Operation))

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"))
    number: Mapped[int]
    operation: Mapped[str] = mapped_column(Text)
    arguments: Mapped[dict[str, Any]] = mapped_column(JSONB)
    before: Mapped[dict[str, Any]] = mapped_column(JSONB)
    after: Mapped[dict[str, Any]] = mapped_column(JSONB)
    author: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    undone: Mapped[bool] = mapped_column(server_default=text("false"))


class PlanComment(Base):
    """What somebody wrote on a plan, at a place or on the whole."""

    __tablename__ = "plan_comment"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"), index=True)
    author: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)
    text: Mapped[str] = mapped_column(Text)
    geom: Mapped[WKBElement | None] = mapped_column(geometry("POINT"))
