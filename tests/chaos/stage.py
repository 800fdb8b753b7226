"""What a run begins with: instruments, accounts, a strategy, FIX sessions as the product has them."""

from __future__ import annotations

import json

import psycopg

from chaos.flow import ACCOUNTS, LEGS, SYMBOLS
from chaos.tape import write_batch
from fix.simvenue.bench import Market

VENUES = {
    "SIM": ("FIX.4.4", "TSDB"),
    "SIMPR": ("FIX.4.2", "OLD"),
    "SIMDARK": ("FIX.5.0SP2", "NEW"),
}
"""Version and our CompID of the order session with each venue."""
COPY = ("SIM-COPY", "SIM", "DROP")
SESSIONS = (*VENUES, COPY[0])
_DEFAULT = """[DEFAULT]
SocketAcceptPort={port}
SocketReuseAddress=Y
SocketNodelay=Y
ValidateUserDefinedFields=N
"""
_PAIR = {
    "hedge_ratio": 1, "mean": 0, "deviation": 0.001, "entry": 2, "exit": 0.5, "stop": 50,
    "half_life_s": 1e8, "warm_up_s": 0, "max_gap_s": 1e9, "notional": 30_000,
}  # fmt: skip


def acceptor_sessions(port: int) -> str:
    """Return the venues' side of the sessions, as a file for their process."""
    text = _DEFAULT.format(port=port)
    for venue, (version, sender) in VENUES.items():
        text += _acceptor_session(venue, version, sender)
    return text + _acceptor_session(COPY[1], "FIX.4.4", COPY[2])


def _acceptor_session(venue: str, version: str, participant: str) -> str:
    begin = f"BeginString={version}"
    if version == "FIX.5.0SP2":
        begin = f"BeginString=FIXT.1.1\nDefaultApplVerID={version}"
    return f"[SESSION]\n{begin}\nSenderCompID={venue}\nTargetCompID={participant}\n"


def set_up(conn: psycopg.Connection) -> str:
    """Make all of it; return the trading session."""
    market = Market(conn)
    for symbol in (*SYMBOLS, *LEGS):
        market.list(symbol)
    # They grow until the session's end.
    conn.execute(
        "update market.sources f set first_ts = s.from_ts, last_ts = s.to_ts "
        "from ops.sessions s where s.feed_id = f.feed_id"
    )
    for account in ACCOUNTS:
        conn.execute("insert into ref.accounts (account) values (%s)", (account,))
    for control, value in (("position", 10_000_000), ("order_value", 10_000_000)):
        conn.execute("select risk.set_limit(%s, '{}', %s, 'chaos')", (control, value))
    _bind_strategy(conn, market)
    write_batch(conn, market, dict.fromkeys((*SYMBOLS, *LEGS), ("99.99", 500, "100.01", 500)))
    conn.execute("select venue.configure('SIMDARK', '{\"self_trade\": \"allow\"}')")
    conn.execute("select venue.configure('SIMPR', '{\"self_trade\": \"cancel_resting\"}')")
    conn.execute("select venue.set_participant('SIM', 'DROP', '{\"drop_copy\": true}')")
    _replace_sessions(conn)
    return str(market.session_id)


def _bind_strategy(conn: psycopg.Connection, market: Market) -> None:
    conn.execute(
        "select signal.save_pair(%s, %s, f.feed, %s, '{}', '2013-10-01', '2013-10-02', '{}', 'chaos') "
        "from ops.feeds f where f.feed_id = %s",
        (*LEGS, json.dumps(_PAIR), market.feed_id),
    )
    # A replay as fast as it can be would wait for the venue's every step.
    conn.execute(
        'update ops.sessions set parameters = \'{"speed": "1"}\' where session_id = %s',
        (market.session_id,),
    )
    conn.execute("select signal.bind_pairs(%s)", (market.session_id,))


def _replace_sessions(conn: psycopg.Connection) -> None:
    """Add the sessions as an operator would: with every default of the product.

    Those that come with the simulated venues have no dead-man's switch and keep stale orders.
    """
    conn.execute("delete from oms.fix_sessions")
    for venue, (version, sender) in VENUES.items():
        add_session(conn, venue, venue, version=version, sender=sender)
    add_session(conn, COPY[0], COPY[1], kind="drop_copy", sender=COPY[2])


def add_session(conn: psycopg.Connection, name: str, venue: str, **settings: str) -> None:
    """Add a FIX session of the gateway."""
    conn.execute("select oms.add_fix_session(%s, %s, %s)", (name, venue, json.dumps(settings)))
