"""The demo: a trading session from ticks to positions, and the proof that it was right."""
