"""Imports of the territory: divisions, grids, workers and layers, each one file in one transaction."""

from gridmgmt.grids.import_divisions import import_divisions
from gridmgmt.grids.import_grids import import_grids
from gridmgmt.grids.import_layers import import_layers
from gridmgmt.grids.import_workers import import_workers

__all__ = ["import_divisions", "import_grids", "import_layers", "import_workers"]
