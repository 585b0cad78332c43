"""Fuzz: `python -m benchmarks.fuzz api|files [--count N]` (docs/operate.md)."""
