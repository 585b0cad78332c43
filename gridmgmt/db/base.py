"""What every table shares: one metadata with a naming convention, so that constraints have stable names."""

from geoalchemy2 import Geometry
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

SRID = 4490  # CGCS2000, geographic

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The root of every table class."""

    metadata = MetaData(naming_convention=NAMING)


def geometry(kind: str) -> Geometry:
    """Return the column type of CGCS2000 geometries; indexes are named in the migrations."""
    return Geometry(kind, srid=SRID, spatial_index=False)
