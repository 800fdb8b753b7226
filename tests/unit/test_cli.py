"""The command line turns every failure into one line and an exit status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import typer

from tsdb_trader import cli, errors


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "tsdb_trader", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def _with_command(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def build(_called: str | None) -> typer.Typer:
        app = typer.Typer(pretty_exceptions_enable=False)

        @app.command("fail")
        def fail() -> None:
            raise error

        @app.callback()
        def options() -> None: ...

        return app

    monkeypatch.setattr(cli, "build", build)


def test_cli_help_lists_commands_without_importing_their_libraries() -> None:
    script = (
        "import sys; from tsdb_trader import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'pandas', 'quickfix', 'rich', 'alembic'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
    for name in ("demo", "db", "migrate", "load", "up", "status", "session", "docs"):
        assert f"  {name} " in done.stdout


@pytest.mark.parametrize("name", sorted(cli._COMMANDS))
def test_cli_help_of_every_command_is_there(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([name, "--help"])
    assert ended.value.code == 0
    assert "Usage:" in capsys.readouterr().out


def test_cli_version_prints_version() -> None:
    from tsdb_trader import __version__

    assert _run("version").stdout.strip() == __version__


def test_cli_unknown_command_is_a_usage_error() -> None:
    done = _run("nonsense")
    assert done.returncode == 2
    assert "No such command" in done.stderr


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InputError("prices.csv:7: no price"), 5),
        (errors.DatabaseUnavailableError("cannot use the database"), 3),
        (errors.InvariantError("a promise is broken"), 6),
    ],
)
def test_cli_known_error_is_one_line_and_its_status(
    error: errors.TraderError,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _with_command(monkeypatch, error)
    with pytest.raises(SystemExit) as ended:
        cli.main(["fail"])
    assert ended.value.code == status
    assert capsys.readouterr().err == f"error: {error}\n"


def test_cli_unexpected_error_is_one_line_and_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv("TSDB_TRADER_DEBUG", raising=False)
    monkeypatch.setattr(cli, "settings", lambda: cli_settings(tmp_path))
    _with_command(monkeypatch, ZeroDivisionError("by zero"))
    with pytest.raises(SystemExit) as ended:
        cli.main(["fail"])
    log = tmp_path / "logs" / "cli.log"
    assert ended.value.code == 70
    assert capsys.readouterr().err == (
        f"error: unexpected ZeroDivisionError: by zero; its traceback is at the end of {log}\n"
    )
    assert "Traceback" in log.read_text()


def test_cli_debug_shows_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TSDB_TRADER_DEBUG", "1")
    _with_command(monkeypatch, ZeroDivisionError("by zero"))
    with pytest.raises(SystemExit):
        cli.main(["fail"])
    assert "Traceback" in capsys.readouterr().err


def test_cli_interrupt_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _with_command(monkeypatch, KeyboardInterrupt())
    with pytest.raises(SystemExit) as ended:
        cli.main(["fail"])
    assert ended.value.code == 130
    assert "Traceback" not in capsys.readouterr().err


def test_cli_unreachable_database_names_it_and_what_to_do(tmp_path: Path) -> None:
    done = _run(
        "status",
        TSDB_TRADER_DATABASE_URL="postgresql://ann:secret@127.0.0.1:1/nowhere",
        TSDB_TRADER_HOME=str(tmp_path),
    )
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "127.0.0.1:1/nowhere" in done.stderr
    assert "TSDB_TRADER_DATABASE_URL" in done.stderr
    assert "secret" not in done.stderr


def test_cli_unusable_setting_is_named(tmp_path: Path) -> None:
    done = _run("status", TSDB_TRADER_FIX_PORT="ninety", TSDB_TRADER_HOME=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith("error: TSDB_TRADER_FIX_PORT: ")


def test_known_error_of_class_tt_is_ours() -> None:
    class Raised(psycopg.Error):
        sqlstate = "TT002"

    assert isinstance(cli._known(Raised("no such order")), errors.UnknownObjectError)


def cli_settings(home: Path) -> object:
    class Config:
        pass

    config = Config()
    config.home = home  # type: ignore[attr-defined]
    return config


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("HOME", "", "name a folder by its full path, or unset it (got '')"),
        ("HOME", "data", "name a folder by its full path, or unset it (got 'data')"),
        ("LOG_LEVEL", "LOUD", "Input should be 'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'"),
        ("FIX_PORT", "x", "Input should be a valid integer"),
    ],
)
def test_cli_unusable_value_is_one_line_with_its_setting(name: str, value: str, says: str) -> None:
    done = _run("db", "status", **{f"TSDB_TRADER_{name}": value})
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: TSDB_TRADER_{name}: {says}")
    assert done.stderr.count("\n") == 1


def test_cli_closed_port_says_that_the_connection_was_refused() -> None:
    url = "postgresql://ann:secret@127.0.0.1:1/x"
    done = _run("session", "list", TSDB_TRADER_DATABASE_URL=url)
    assert done.returncode == 3
    assert "Connection refused" in done.stderr
    assert "TSDB_TRADER_DATABASE_URL" in done.stderr
    assert "secret" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_cli_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = _run("demo", TSDB_TRADER_HOME=str(tmp_path / "file" / "home"))
    assert done.returncode == 2
    assert "cannot be written (Not a directory): set TSDB_TRADER_HOME" in done.stderr
