"""A trading platform centred on a time-series database."""

__version__ = "0.1.0"
