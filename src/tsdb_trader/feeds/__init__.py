"""Market data sources: each format yields the ticks of its files as column arrays."""
