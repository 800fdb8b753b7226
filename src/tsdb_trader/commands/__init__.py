"""Groups of subcommands, each a `typer.Typer` named ``app``."""
