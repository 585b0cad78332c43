"""Grid management for a county-level city: grids, households, matters, hotspots and the seasonal list."""
