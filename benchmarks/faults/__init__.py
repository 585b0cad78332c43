"""A small city at work while its parts are killed, cut, slowed, filled and put out of time.

`python -m benchmarks.faults` (docs/operate.md). What was acknowledged is compared with what stands
at the end.
"""
