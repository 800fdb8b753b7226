"""A FIX session's settings: the engine's configuration per version, and where a password comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import quickfix
from pydantic import SecretStr

from fix_dialects import ALL, name_of
from tsdb_trader.config import fix_login
from tsdb_trader.errors import ConfigurationError
from tsdb_trader.fix.session_settings import SessionSettings, dictionary
from tsdb_trader.fix.versions import FIX42, FIX44, FIX50SP2, Version

TEMPLATE = Path(__file__).parents[2] / "fixcfg" / "gateway.cfg"
SECRET = "s3cret"


def settings_for(folder: Path, **changes: Any) -> SessionSettings:
    values = {
        "template": TEMPLATE,
        "host": "localhost",
        "port": 9876,
        "sender": "TSDB",
        "target": "SIM",
        "store": folder / "store",
    }
    return SessionSettings(**(values | changes))


def test_settings_without_a_version_are_those_of_fix_4_4(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    text = settings.render()
    assert "BeginString=FIX.4.4\n" in text
    assert f"\nDataDictionary={tmp_path}/store/FIX44.xml\n" in text
    assert "TimestampPrecision=6\n" in text
    assert "DefaultApplVerID" not in text
    assert settings.fix_session == "FIX.4.4:TSDB->SIM"


@pytest.mark.parametrize(
    ("version", "lines", "digits"),
    [
        (FIX42, ["DataDictionary={}/FIX42.xml"], 3),
        (
            FIX50SP2,
            [
                "DefaultApplVerID=9",
                "TransportDataDictionary={}/FIXT11.xml",
                "AppDataDictionary={}/FIX50SP2.xml",
            ],
            6,
        ),
    ],
    ids=["4.2", "5.0SP2"],
)
def test_settings_of_a_version_name_its_dictionaries(
    version: Version, lines: list[str], digits: int, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, version=version)
    text = settings.render().splitlines()
    assert {line.format(settings.store) for line in lines} <= set(text)
    assert f"BeginString={version.begin_string}" in text
    assert f"TimestampPrecision={digits}" in text
    assert settings.fix_session == f"{version.begin_string}:TSDB->SIM"


@pytest.mark.parametrize("version", ALL, ids=name_of)
def test_settings_written_are_read_by_quickfix_and_hold_no_password(
    version: Version, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, version=version, password=SecretStr(SECRET))
    path = settings.write()
    session = quickfix.SessionID(version.begin_string, "TSDB", "SIM")
    quickfix.SessionSettings(str(path)).get(session)
    assert SECRET not in path.read_text()
    assert SECRET not in repr(settings)
    assert settings.store.stat().st_mode & 0o777 == 0o700
    written = (settings.store / version.dictionary).read_text()
    assert "<value" not in written
    assert "<value" in dictionary(version.dictionary).read_text()
    assert written.count("<field ") == dictionary(version.dictionary).read_text().count("<field ")


def test_settings_of_a_store_that_others_can_read_close_it(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o755)
    settings_for(tmp_path).write()
    assert (tmp_path / "store").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"port": 0}, "TSDB_TRADER_FIX_PORT"),
        ({"template": Path("nowhere.cfg")}, "nowhere.cfg is missing"),
        ({"user_name": "me"}, "a FIX user name without a password"),
        ({"version": FIX42, "user_name": "me", "password": SecretStr(SECRET)}, "no user name"),
        ({"password": SecretStr("a\nb")}, "SIM: the password is empty or"),
    ],
    ids=["port", "template", "user", "user in 4.2", "password"],
)
def test_settings_that_cannot_work_are_refused_at_once(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=message) as error:
        settings_for(tmp_path, **changes).write()
    assert SECRET not in str(error.value)
    assert not (tmp_path / "store").exists()


def test_dictionary_that_is_not_installed_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"FIX99\.xml is missing"):
        dictionary("FIX99.xml")
    assert dictionary().name == FIX44.dictionary


def test_login_comes_from_the_environment_of_the_venue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSDB_TRADER_FIX_XNAS_2_PASSWORD", SECRET)
    monkeypatch.setenv("TSDB_TRADER_FIX_XNAS_2_USERNAME", "me")
    login = fix_login("xnas-2")
    assert login is not None
    assert (login.password.get_secret_value(), login.user_name) == (SECRET, "me")
    assert SECRET not in repr(login)
    assert fix_login("XNYS") is None


def test_login_comes_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    monkeypatch.setenv("TSDB_TRADER_FIX_SIM_PASSWORD_FILE", str(file))
    login = fix_login("SIM")
    assert login is not None
    assert login.password.get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"PASSWORD": SECRET, "PASSWORD_FILE": "{}/secret"}, "set one of them"),
        ({"PASSWORD_FILE": "{}/nothing"}, "PASSWORD_FILE: .*nothing: No such file"),
        ({"PASSWORD_FILE": "{}/empty"}, "empty is empty"),
        ({"PASSWORD_FILE": "{}/bytes"}, "not a text"),
        ({"USERNAME": "me"}, "there is no TSDB_TRADER_FIX_SIM_PASSWORD"),
    ],
    ids=["both", "missing", "empty", "bytes", "user alone"],
)
def test_login_that_cannot_work_is_refused_without_telling_it(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name, value in variables.items():
        monkeypatch.setenv(f"TSDB_TRADER_FIX_SIM_{name}", value.format(tmp_path))
    with pytest.raises(ConfigurationError, match=message) as error:
        fix_login("SIM")
    assert SECRET not in str(error.value)
