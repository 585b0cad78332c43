"""Tables of 人房关联: building -> dwelling -> household -> person, and who lives where since when.

Identity numbers, telephones and notes are sealed (`privacy.cipher`) under the salt of their row.
"""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from geoalchemy2 import WKBElement
from sqlalchemy import CheckConstraint, Computed, ForeignKey, Identity, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base, geometry
from gridmgmt.db.models import NOW, Timestamp, one_of


class Relation(StrEnum):
    """What a person is to the head (户主) of the household."""

    HEAD = "head"
    SPOUSE = "spouse"
    CHILD = "child"
    PARENT = "parent"
    OTHER = "other"


class Tenure(StrEnum):
    """By what right a person lives in a dwelling."""

    OWNER = "owner"
    TENANT = "tenant"
    FAMILY = "family"
    OTHER = "other"


class Care(StrEnum):
    """Care groups (关爱对象)."""

    ELDERLY_ALONE = "elderly_alone"
    DISABLED = "disabled"
    LEFT_BEHIND = "left_behind"
    SUPPORT = "support"


class Left(StrEnum):
    """Why a person is no more of a household."""

    DIED = "died"
    MOVED = "moved"
    MERGED = "merged"
    ERASED = "erased"


RELATION_NAMES = {
    Relation.HEAD: "户主", Relation.SPOUSE: "配偶", Relation.CHILD: "子女", Relation.PARENT: "父母",
    Relation.OTHER: "其他",
}  # fmt: skip
TENURE_NAMES = {
    Tenure.OWNER: "自有", Tenure.TENANT: "租住", Tenure.FAMILY: "随住", Tenure.OTHER: "其他"
}  # fmt: skip
SEX_NAMES = {"male": "男", "female": "女"}
LEFT_NAMES = {Left.DIED: "去世", Left.MOVED: "迁出", Left.MERGED: "并户", Left.ERASED: "已删除"}
CARE_NAMES = {
    Care.ELDERLY_ALONE: "独居老人", Care.DISABLED: "残疾人", Care.LEFT_BEHIND: "留守儿童",
    Care.SUPPORT: "持续帮扶",
}  # fmt: skip


class Building(Base):
    """A building with its address point; `grid_id` is the base grid in force that holds it."""

    __tablename__ = "building"
    __table_args__ = (Index("ix_building_geom", "geom", postgresql_using="gist"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    code: Mapped[str] = mapped_column(Text, unique=True)
    address: Mapped[str] = mapped_column(Text)
    geom: Mapped[WKBElement | None] = mapped_column(geometry("POINT"))
    low_lying: Mapped[bool] = mapped_column(server_default=text("false"))
    dilapidated: Mapped[bool] = mapped_column(server_default=text("false"))
    self_built: Mapped[bool] = mapped_column(server_default=text("false"))
    grid_id: Mapped[int | None] = mapped_column(ForeignKey("grid.id"), index=True)


class Dwelling(Base):
    """One flat or house: the door that is knocked at."""

    __tablename__ = "dwelling"
    __table_args__ = (UniqueConstraint("building_id", "door"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    building_id: Mapped[int] = mapped_column(ForeignKey("building.id"))
    door: Mapped[str] = mapped_column(Text)
    verified_on: Mapped[date | None]
    verified_by: Mapped[str | None] = mapped_column(Text)


class Household(Base):
    """The people who live together in a dwelling; `persons` follows their number where they are known."""

    __tablename__ = "household"
    __table_args__ = (CheckConstraint("persons >= 0", name="persons"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    code: Mapped[str] = mapped_column(Text, unique=True)
    dwelling_id: Mapped[int] = mapped_column(ForeignKey("dwelling.id"), index=True)
    persons: Mapped[int]
    ended_on: Mapped[date | None]
    grid_id: Mapped[int | None] = mapped_column(ForeignKey("grid.id"), index=True)


class Person(Base):
    """One resident. `grid_id` is that of the household's building, kept by triggers for the row policies."""

    __tablename__ = "person"
    __table_args__ = (
        one_of("relation", Relation),
        CheckConstraint("sex IN ('male', 'female')", name="sex"),
        one_of("left_why", Left),
        CheckConstraint("(left_on IS NULL) = (left_why IS NULL)", name="left"),
        CheckConstraint("household_id IS NOT NULL OR left_on IS NOT NULL", name="household"),
        Index(
            "ux_person_head", "household_id", unique=True,
            postgresql_where=text("relation = 'head' AND left_on IS NULL"),
        ),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    household_id: Mapped[int | None] = mapped_column(ForeignKey("household.id"), index=True)
    grid_id: Mapped[int | None] = mapped_column(ForeignKey("grid.id"), index=True)
    relation: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text(collation="C"), index=True)
    given: Mapped[str | None] = mapped_column(
        Text(collation="C"), Computed("substr(name, 2)", persisted=True), index=True
    )
    birth_on: Mapped[date | None]
    sex: Mapped[str | None] = mapped_column(Text)
    identity: Mapped[bytes | None]
    identity_index: Mapped[UUID | None] = mapped_column(unique=True)
    phone: Mapped[bytes | None]
    phone_index: Mapped[UUID | None] = mapped_column(index=True)
    salt: Mapped[bytes | None]
    registered_dwelling_id: Mapped[int | None] = mapped_column(ForeignKey("dwelling.id"))
    left_on: Mapped[date | None]
    left_why: Mapped[str | None] = mapped_column(Text)
    restricted_on: Mapped[date | None]
    updated_at: Mapped[datetime] = mapped_column(Timestamp, server_default=NOW)


class Residency(Base):
    """A person lives in a dwelling from a day on, until another."""

    __tablename__ = "residency"
    __table_args__ = (
        one_of("relation", Tenure),
        CheckConstraint("valid_to >= valid_from", name="dates"),
        Index("ux_residency_open", "person_id", unique=True, postgresql_where=text("valid_to IS NULL")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    dwelling_id: Mapped[int] = mapped_column(ForeignKey("dwelling.id"), index=True)
    relation: Mapped[str] = mapped_column(Text)
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]


class HouseholdCare(Base):
    """A care category of a household or one of its people, with its basis and the day it ends."""

    __tablename__ = "household_care"
    __table_args__ = (
        one_of("category", Care),
        CheckConstraint("expires > valid_from AND ended_on >= valid_from", name="dates"),
        Index(
            "ux_household_care_open", "person_id", "category", unique=True,
            postgresql_where=text("ended_on IS NULL"),
        ),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    category: Mapped[str] = mapped_column(Text)
    basis: Mapped[str] = mapped_column(Text)
    valid_from: Mapped[date]
    expires: Mapped[date]
    ended_on: Mapped[date | None]
