"""平安指数: an index that explains itself, the talks it leads to, and its monthly bulletin."""
