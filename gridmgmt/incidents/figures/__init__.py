"""Figures of the handling of matters."""
