"""Measurements side by side with peers, in one run on one machine: ratios, never absolute times."""
