"""Tables of the territory: divisions, grids with their lineage, grid workers, context layers."""

from datetime import date
from enum import StrEnum

from geoalchemy2 import WKBElement
from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base, geometry
from gridmgmt.db.models import one_of


class Level(StrEnum):
    """The three levels of divisions above the grid."""

    COUNTY = "county"
    TOWN = "town"
    VILLAGE = "village"


LEVEL_NAMES = {"county": "县市", "town": "镇街", "village": "村社区", "grid": "网格"}


class GridKind(StrEnum):
    """Base grids tile the villages; special grids lie over them; micro-grids lie inside one."""

    BASE = "base"
    SPECIAL = "special"
    MICRO = "micro"


class Employment(StrEnum):
    FULL_TIME = "full_time"
    PART_TIME = "part_time"


class AssignmentRole(StrEnum):
    CHIEF = "chief"
    MEMBER = "member"


class Division(Base):
    """County, town/street or village/community; the code follows GB/T 2260 plus 3 plus 3 digits."""

    __tablename__ = "division"
    __table_args__ = (one_of("level", Level), Index("ix_division_geom", "geom", postgresql_using="gist"))

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    level: Mapped[str] = mapped_column(Text)
    parent: Mapped[str | None] = mapped_column(ForeignKey("division.code"), index=True)
    geom: Mapped[WKBElement | None] = mapped_column(geometry("MULTIPOLYGON"))


class Grid(Base):
    """A grid, in force from `valid_from` until the day before `valid_to`.

    A code is never given to another grid. One whose edge moved keeps its code and has a row for each shape.
    """

    __tablename__ = "grid"
    __table_args__ = (
        UniqueConstraint("code15", "valid_from"),
        Index("ux_grid_code15_in_force", "code15", unique=True, postgresql_where=text("valid_to IS NULL")),
        one_of("kind", GridKind),
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="period"),
        Index("ix_grid_geom", "geom", postgresql_using="gist"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    code15: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    purpose: Mapped[str | None] = mapped_column(Text)
    village: Mapped[str] = mapped_column(ForeignKey("division.code"), index=True)
    geom: Mapped[WKBElement] = mapped_column(geometry("MULTIPOLYGON"))
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]


class GridLineage(Base):
    """Which share of an ended grid went into which of its successors."""

    __tablename__ = "grid_lineage"

    from_grid: Mapped[int] = mapped_column(ForeignKey("grid.id"), primary_key=True)
    to_grid: Mapped[int] = mapped_column(ForeignKey("grid.id"), primary_key=True, index=True)
    area_share: Mapped[float]
    household_share: Mapped[float | None]


class Worker(Base):
    """A grid worker; `name` is shown as the contact of a grid."""

    __tablename__ = "worker"
    __table_args__ = (one_of("employment", Employment), UniqueConstraint("name", "birth_year"))

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    employment: Mapped[str] = mapped_column(Text)
    education: Mapped[str | None] = mapped_column(Text)
    birth_year: Mapped[int | None]


class Assignment(Base):
    """A worker's place in a grid, from a day until the day before another."""

    __tablename__ = "assignment"
    __table_args__ = (one_of("role", AssignmentRole), UniqueConstraint("worker_id", "grid_id", "valid_from"))

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    worker_id: Mapped[int] = mapped_column(ForeignKey("worker.id"))
    grid_id: Mapped[int] = mapped_column(ForeignKey("grid.id"), index=True)
    role: Mapped[str] = mapped_column(Text)
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]


class MapLayer(Base):
    """A line or area that helps to read the map: a river, a road."""

    __tablename__ = "map_layer"
    __table_args__ = (UniqueConstraint("layer", "name"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    layer: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    geom: Mapped[WKBElement] = mapped_column(geometry("GEOMETRY"))
