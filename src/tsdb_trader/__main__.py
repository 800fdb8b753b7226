"""`python -m tsdb_trader`: the command line, for child processes of the same interpreter."""

from tsdb_trader.cli import main

main()
