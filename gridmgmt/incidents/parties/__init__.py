"""Who a matter is about, and what was attached to it."""
