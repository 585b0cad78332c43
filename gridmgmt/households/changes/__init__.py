"""Births, deaths, moves, splits, merges, corrections: asked for at the door, decided in the town office."""
