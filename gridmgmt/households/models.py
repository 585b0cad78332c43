"""Tables of 人房关联 as far as they stand: building -> dwelling -> household.

Persons are held as a number a household until their own table comes with encryption: nothing that names a
person is stored here.
"""

from geoalchemy2 import WKBElement
from sqlalchemy import CheckConstraint, ForeignKey, Identity, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from gridmgmt.db.base import Base, geometry


class Building(Base):
    """A building with its address point; `grid_id` is the base grid in force that holds it."""

    __tablename__ = "building"

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


class Household(Base):
    """The people who live together in a dwelling, as a number."""

    __tablename__ = "household"
    __table_args__ = (CheckConstraint("persons > 0", name="persons"),)

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    code: Mapped[str] = mapped_column(Text, unique=True)
    dwelling_id: Mapped[int] = mapped_column(ForeignKey("dwelling.id"), index=True)
    persons: Mapped[int]
