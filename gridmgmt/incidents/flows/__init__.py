"""Flows of handling as data: steps, limits, moves."""
