"""The file of FIX sessions: what is filled in, and what is refused with file, section and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from tsdb_trader import schema
from tsdb_trader.errors import ConfigurationError
from tsdb_trader.venue.dictionaries import shipped
from tsdb_trader.venue.engine_settings import EngineSettings, from_file, from_template

TOP = """[DEFAULT]
SenderCompID=VENUE
SocketAcceptPort=9876
"""
SESSION = "[SESSION]\nBeginString=FIX.4.4\nTargetCompID=TRADER\n"
FIXT = "[SESSION]\nBeginString=FIXT.1.1\nTargetCompID=TRADER\nDefaultApplVerID=FIX.5.0SP2\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sessions.cfg"


def read(file: Path, text: str) -> EngineSettings:
    file.write_text(text)
    return from_file(file, venue="SIM", store=file.parent / "home")


def lines(settings: EngineSettings) -> set[str]:
    return set(settings.text.splitlines())


def test_settings_minimal_file_is_completed(file: Path) -> None:
    found = read(file, TOP + SESSION)
    assert lines(found) >= {
        "CONNECTIONTYPE=acceptor",
        "NONSTOPSESSION=Y",
        f"DATADICTIONARY={shipped('FIX44.xml')}",
        f"FILESTOREPATH={file.parent / 'home'}",
    }
    assert found.ports == (9876,)
    assert list(found.sessions) == ["FIX.4.4:VENUE->TRADER"]
    assert found.write() == file.parent / "home" / "sim.cfg"
    assert found.path.read_text() == found.text


def test_settings_relative_paths_start_at_the_file(file: Path) -> None:
    (file.parent / "own.xml").touch()
    found = read(file, f"{TOP}FileStorePath=store\n{SESSION}DataDictionary=own.xml\n")
    assert f"FILESTOREPATH={file.parent / 'store'}" in lines(found)
    assert f"DATADICTIONARY={file.parent / 'own.xml'}" in lines(found)


def test_settings_bare_dictionary_name_is_found_with_the_engine(file: Path) -> None:
    found = read(file, f"{TOP}{SESSION}DataDictionary=FIX42.xml\n")
    assert f"DATADICTIONARY={shipped('FIX42.xml')}" in lines(found)


def test_settings_session_without_dictionary_needs_none(file: Path) -> None:
    found = read(file, f"{TOP}{SESSION}UseDataDictionary=N\n")
    assert not any(line.startswith("DATADICTIONARY") for line in lines(found))


def test_settings_session_times_of_the_file_are_kept(file: Path) -> None:
    found = read(file, f"{TOP}StartTime=00:00:00\nEndTime=00:00:00\n{SESSION}")
    assert "NONSTOPSESSION=Y" not in lines(found)
    assert "STARTTIME=00:00:00" in lines(found)


def test_settings_key_in_any_case_of_a_session_wins_over_the_default(file: Path) -> None:
    found = read(file, f"{TOP}ResetOnLogon=N\n{SESSION}  RESETONLOGON = Y\n# ResetOnLogon=N\n")
    assert "RESETONLOGON=Y" in lines(found)


@pytest.mark.parametrize("version", ["FIX.5.0SP2", "9"])
def test_settings_fixt_session_serves_the_versions_it_has_dictionaries_for(
    file: Path, version: str
) -> None:
    text = FIXT.replace("FIX.5.0SP2", version) + "AppDataDictionary.FIX.5.0=FIX50.xml\n"
    found = read(file, TOP + text)
    assert found.sessions["FIXT.1.1:VENUE->TRADER"].versions == {"9", "7"}
    assert lines(found) >= {
        f"TRANSPORTDATADICTIONARY={shipped('FIXT11.xml')}",
        f"APPDATADICTIONARY={shipped('FIX50SP2.xml')}",
        f"APPDATADICTIONARY.FIX.5.0={shipped('FIX50.xml')}",
    }


def test_settings_echo_session_is_ours_and_not_the_engines(file: Path) -> None:
    found = read(file, f"{TOP}{SESSION}Application=echo\n")
    assert found.sessions["FIX.4.4:VENUE->TRADER"].echo
    assert "APPLICATION" not in found.text


def test_settings_unknown_key_is_told_and_left_out(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = read(file, f"{TOP}HttpAcceptPort=8080\n{SESSION}")
    assert "8080" not in found.text
    assert "HttpAcceptPort" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "there is no [SESSION]"),
        (TOP, "there is no [SESSION]"),
        ("SenderCompID=A\n", "line 1: key=value in a section is expected"),
        (f"{TOP}what is this\n{SESSION}", "line 4: key=value in a section is expected"),
        (f"{TOP}{TOP}{SESSION}", "line 4: [DEFAULT]: one [DEFAULT] and [SESSION]s are expected"),
        (f"{TOP}[OTHER]\n{SESSION}", "line 4: [OTHER]: one [DEFAULT] and [SESSION]s are expected"),
        (f"{TOP}{SESSION}FileStorePath={'x' * 1000}\n", "line 7 is longer than 1000 bytes"),
        (TOP + SESSION + SESSION, "[SESSION] 2: TargetCompID: session FIX.4.4:VENUE->TRADER is"),
        (f"{TOP}[SESSION]\nTargetCompID=A\n", "[SESSION] 1: BeginString: is missing"),
        (f"{TOP}[SESSION]\nBeginString=FIX.4.4\n", "[SESSION] 1: TargetCompID: is missing"),
        (SESSION, "[SESSION] 1: SenderCompID: is missing"),
        (f"{TOP}{SESSION}BeginString=FIX.6\n", "[SESSION] 1: BeginString: 'FIX.6' is none of"),
        (TOP.replace("9876", "0") + SESSION, "[DEFAULT]: SocketAcceptPort: '0' is no port"),
        (TOP.replace("9876", "70000") + SESSION, "SocketAcceptPort: '70000' is no port"),
        (TOP.replace("SocketAcceptPort=9876\n", "") + SESSION, "SocketAcceptPort: is missing"),
        (f"{TOP}{SESSION}ResetOnLogon=yes\n", "ResetOnLogon: 'yes' is neither Y nor N"),
        (f"{TOP}{SESSION}ResetOnLogon=\n", "ResetOnLogon: '' is neither Y nor N"),
        (f"{TOP}{SESSION}MaxLatency=long\n", "MaxLatency: 'long' is no number"),
        (f"{TOP}{SESSION}StartTime=25:00:00\n", "StartTime: '25:00:00' is no time of day"),
        (f"{TOP}{SESSION}StartDay=someday\n", "StartDay: 'someday' is no day of the week"),
        (f"{TOP}{SESSION}Application=bank\n", "Application: 'bank' is neither venue nor echo"),
        (f"{TOP}{SESSION}ConnectionType=initiator\n", "ConnectionType: a venue is an acceptor"),
        (f"{TOP}{SESSION}DataDictionary=no.xml\n", "DataDictionary: there is no file no.xml"),
        (f"{TOP}{SESSION}DataDictionary=../FIX44.xml\n", "there is no file ../FIX44.xml"),
        (f"{TOP}[SESSION]\nBeginString=FIXT.1.1\nTargetCompID=A\n", "DefaultApplVerID: is missing"),
        (TOP + FIXT.replace("SP2", "SP9"), "DefaultApplVerID: 'FIX.5.0SP9' is none of"),
        (f"{TOP}{FIXT}AppDataDictionary.FIX.9=FIX44.xml\n", "APPDATADICTIONARY.FIX.9: FIX.9 is"),
    ],
)
def test_settings_wrong_file_is_refused_with_file_section_and_key(
    file: Path, text: str, problem: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        read(file, text)
    assert str(error.value).startswith(f"{file}: ")
    assert problem in str(error.value)


def test_settings_file_that_is_not_there_is_refused(file: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        from_file(file, venue="SIM", store=file.parent)


def test_settings_file_that_is_no_text_is_refused(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="no UTF-8 text"):
        from_file(file, venue="SIM", store=file.parent)


def test_template_has_the_shipped_sessions(tmp_path: Path) -> None:
    template = schema.root() / "fixcfg" / "venue.cfg"
    found = from_template(template, host="127.0.0.1", port=9876, venue="SIM", store=tmp_path)
    assert sorted(found.sessions) == [f"FIX.4.4:SIM->{w}" for w in ("OTHER", "TSDB", "TSDBMD")]
    assert found.ports == (9876,)


def test_template_without_a_port_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="TSDB_TRADER_FIX_PORT"):
        from_template(tmp_path, host="127.0.0.1", port=0, venue="SIM", store=tmp_path)


def test_template_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is missing: install from a checkout"):
        from_template(tmp_path / "no", host="127.0.0.1", port=1, venue="SIM", store=tmp_path)
