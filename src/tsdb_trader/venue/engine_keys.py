"""The keys of an acceptor's configuration, and what each may say."""

from __future__ import annotations

import re
from collections.abc import Mapping

IDENTITY = ("BeginString", "SenderCompID", "TargetCompID")
_APPLICATION_DICTIONARY = "APPDATADICTIONARY."

# What a value must look like, and what is said of one that does not.
_SHAPES: Mapping[str, tuple[re.Pattern[str], str]] = {
    "flag": (re.compile("[YN]"), "is neither Y nor N"),
    "number": (re.compile("[0-9]{1,9}"), "is no number"),
    "port": (
        re.compile(
            "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
        ),
        "is no port from 1 to 65535",
    ),
    "precision": (re.compile("[0-9]"), "is no number of decimals from 0 to 9"),
    "time": (re.compile("([01][0-9]|2[0-3])(:[0-5][0-9]){2}"), "is no time of day HH:MM:SS"),
    "day": (
        re.compile("(su|mo|tu|we|th|fr|sa)[a-z]*", re.IGNORECASE),
        "is no day of the week",
    ),
    "application": (re.compile("venue|echo"), "is neither venue nor echo"),
    "text": (re.compile(".+"), "is empty"),
}


def _all(kind: str, names: str) -> dict[str, str]:
    return dict.fromkeys((name.upper() for name in names.split()), kind)


_KINDS: Mapping[str, str] = {
    **_all("text", " ".join(IDENTITY)),
    **_all("text", "ConnectionType DefaultApplVerID FileStorePath AllowedRemoteAddresses"),
    **_all("text", "DataDictionary TransportDataDictionary AppDataDictionary"),
    **_all("port", "SocketAcceptPort"),
    **_all("number", "MaxLatency LogonTimeout LogoutTimeout"),
    **_all("number", "SocketSendBufferSize SocketReceiveBufferSize"),
    **_all("precision", "TimestampPrecision"),
    **_all("time", "StartTime EndTime LogonTime LogoutTime"),
    **_all("day", "StartDay EndDay LogonDay LogoutDay"),
    **_all("flag", "SocketReuseAddress SocketNodelay NonStopSession UseLocalTime"),
    **_all("flag", "ResetOnLogon ResetOnLogout ResetOnDisconnect RefreshOnLogon"),
    **_all("flag", "CheckCompID CheckLatency PersistMessages MillisecondsInTimeStamp"),
    **_all("flag", "SendRedundantResendRequests SendNextExpectedMsgSeqNum"),
    **_all("flag", "UseDataDictionary ValidateLengthAndChecksum ValidateFieldsOutOfOrder"),
    **_all("flag", "ValidateFieldsHaveValues ValidateUserDefinedFields AllowUnknownMsgFields"),
    **_all("flag", "PreserveMessageFieldsOrder"),
    **_all("application", "Application"),
}


def kind_of(key: str) -> str | None:
    """Return what kind of value a key has, None if nobody reads it."""
    upper = key.upper()
    return "text" if upper.startswith(_APPLICATION_DICTIONARY) else _KINDS.get(upper)


def problem(kind: str, value: str) -> str | None:
    """Say what is wrong with a value, None if it is right."""
    pattern, text = _SHAPES[kind]
    return None if pattern.fullmatch(value) else text
