"""The versions of FIX the gateway speaks, and what each of them can say, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tsdb_trader.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Version:
    """One version of FIX.

    Attributes
    ----------
    name
        Of the application messages, as it is known: ``FIX.4.4``.
    begin_string
        BeginString (8), that of the session.
    dictionary
        File of the application messages' dictionary.
    appl_ver_id
        DefaultApplVerID (1137) of the Logon; None where BeginString says it all.
    transport_dictionary
        File of the session messages' dictionary, where it is one of its own.
    requests
        Message types beyond orders, replaces, cancels and status requests (D, G, F, H).
    session_scopes
        Whether requests may name one of our trading sessions (336): FIX 5.0 SP2 has a closed list.
    status_request_id
        Whether a status request carries an id of its own (790).
    handl_inst
        Whether orders carry HandlInst (21).
    closing_types
        OrdType (40) of orders for the close, by ordinary order type; empty where TimeInForce says
        it.
    display_tag
        Field of the shown quantity of an iceberg.
    peg_price_type
        Whether a peg's reference stands in PegPriceType (1094) too.
    user_name
        Whether a Logon has fields for user name and password (553, 554); without them the password
        is RawData (95, 96).
    fraction
        Decimals of a second in the times of orders.
    sending_fraction
        Decimals of a second in SendingTime (52), which the engine writes.
    """

    name: str
    begin_string: str
    dictionary: str
    appl_ver_id: str | None = None
    transport_dictionary: str | None = None
    requests: frozenset[str] = frozenset({"AF", "q", "AD"})
    session_scopes: bool = True
    status_request_id: bool = True
    handl_inst: bool = True
    closing_types: Mapping[str, str] = field(default_factory=dict, hash=False)
    display_tag: int = 111
    peg_price_type: bool = False
    user_name: bool = True
    fraction: int = 3
    sending_fraction: int = 6


FIX42: Final = Version(
    name="FIX.4.2",
    begin_string="FIX.4.2",
    dictionary="FIX42.xml",
    requests=frozenset(),
    status_request_id=False,
    closing_types={"market": "5", "limit": "B"},
    user_name=False,
    sending_fraction=3,
)
FIX44: Final = Version(name="FIX.4.4", begin_string="FIX.4.4", dictionary="FIX44.xml")
FIX50SP2: Final = Version(
    name="FIX.5.0SP2",
    begin_string="FIXT.1.1",
    dictionary="FIX50SP2.xml",
    appl_ver_id="9",
    transport_dictionary="FIXT11.xml",
    session_scopes=False,
    handl_inst=False,
    display_tag=1138,
    peg_price_type=True,
    fraction=6,
)
VERSIONS: Final[Mapping[str, Version]] = {v.name: v for v in (FIX42, FIX44, FIX50SP2)}


def version_named(name: str) -> Version:
    """Return a version by its name.

    Raises
    ------
    ConfigurationError
        The gateway does not speak it.
    """
    try:
        return VERSIONS[name]
    except KeyError:
        known = ", ".join(VERSIONS)
        raise ConfigurationError(f"no FIX version {name!r}; known: {known}") from None
