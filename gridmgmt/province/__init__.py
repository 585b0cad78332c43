"""Many counties at once: exports without personal data, and the same analysis over all of them on one machine
or a cluster.

`files` says what an export holds, `export` makes one, `work` cuts the analysis into tasks over the kernels of
`grids`, `hotspots` and `seasonal`, `engines` maps tasks, `service` puts it together. See docs/scale.md.
"""
