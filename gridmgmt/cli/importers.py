"""What can be imported, by kind: what loads it and what must follow; for the command line and for jobs.

Importers are loaded when they are called: geopandas and numba take a second.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from sqlalchemy import Engine

from gridmgmt.importing.report import Report

Importer = Callable[..., Report]


@dataclass(frozen=True)
class Kind:
    """One kind of file: where its importer stands, and what the command line says of it.

    `moves`: grids change by it, so that matters and buildings are to be placed anew.
    """

    module: str
    function: str
    words: str
    moves: bool = False

    def importer(self) -> Importer:
        """Return the function that imports a file of this kind."""
        found: Importer = getattr(import_module(self.module), self.function)
        return found


KINDS = {
    "divisions": Kind(
        "gridmgmt.grids.importer", "import_divisions",
        "County, towns and streets, villages and communities (table or map file).",
    ),
    "categories": Kind(
        "gridmgmt.incidents.taxonomy_import", "import_categories",
        "The two-level code list: code, name, parent, department.",
    ),
    "grids": Kind(
        "gridmgmt.grids.importer", "import_grids",
        "Grids as GeoJSON, GeoPackage or Shapefile; matters are placed anew.", moves=True,
    ),
    "workers": Kind("gridmgmt.grids.importer", "import_workers", "Grid workers and where they work."),
    "incidents": Kind(
        "gridmgmt.incidents.importer", "import_incidents",
        "Matters: CSV, XLSX or Parquet; idempotent on source and external id.",
    ),
    "layers": Kind(
        "gridmgmt.grids.importer", "import_layers", "Points, lines and areas that help to read the map."
    ),
    "mediators": Kind(
        "gridmgmt.incidents.mediation.mediators_import", "import_mediators",
        "Mediators of the talent pool: name, area, panel, specialities.",
    ),
    "tasks": Kind(
        "gridmgmt.seasonal.tasks.importer", "import_tasks",
        "Work of the seasonal list done elsewhere: year, area, category, done_on, note.",
    ),
}  # fmt: skip


def place_again(engine: Engine) -> tuple[int, int]:
    """Put matters and buildings into the grids as they are now; returns how many of each moved."""
    from gridmgmt.households.assignment import reassign_buildings
    from gridmgmt.incidents.assignment import reassign

    return reassign(engine), reassign_buildings(engine)
