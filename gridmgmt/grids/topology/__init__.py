"""Redrawing a coverage: every operation returns a change of the faces it touches and of their neighbours.

Nothing is changed in place. Shared edges stay shared to the last bit, because everything is noded once, on a
lattice. Method: docs/methods/topology.md.
"""

from gridmgmt.grids.topology.borders import merge, move_vertex
from gridmgmt.grids.topology.cuts import split
from gridmgmt.grids.topology.edge import move_edge
from gridmgmt.grids.topology.even import split_evenly
from gridmgmt.grids.topology.ground import draw, reassign
from gridmgmt.grids.topology.shapes import LATTICE, Change, Coverage

__all__ = [
    "LATTICE",
    "Change",
    "Coverage",
    "draw",
    "merge",
    "move_edge",
    "move_vertex",
    "reassign",
    "split",
    "split_evenly",
]
