"""Buildings and matters are found by place: a tile reads what stands in it, not the table."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute("""
    CREATE INDEX ix_building_geom ON building USING gist (geom);
    CREATE INDEX ix_incident_geom ON incident USING gist (geom);
    """)


def downgrade() -> None:
    op.execute("""
    DROP FUNCTION IF EXISTS tile_matters(integer, integer, integer, text, text, date, date);
    DROP FUNCTION IF EXISTS tile_own_buildings(integer, integer, integer);
    DROP FUNCTION IF EXISTS tile_buildings(integer, integer, integer, text);
    DROP FUNCTION IF EXISTS tile_box(integer, integer, integer, float8);
    DROP INDEX ix_incident_geom;
    DROP INDEX ix_building_geom;
    """)
