"""The same order lives, told in FIX and in OUCH, leave the same orders behind."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from factories import AS_OF, open_session, order, set_quote, submit
from tsdb_trader.api import ouch as api
from tsdb_trader.errors import ConflictError, InputError, UnknownObjectError
from tsdb_trader.feeds import ouch
from tsdb_trader.feeds.ouch import Message
from tsdb_trader.feeds.ouch_orders import OuchInbox
from tsdb_trader.feeds.soupbin_session import SoupClient, SoupServer
from tsdb_trader.fix import codec, codec_reports

DAY = date(2013, 10, 8)
PORT = "OUCH:TSDB->SIM"
SESSION = "20131008A"
# 10:30 in New York, in daylight saving time, is the 14:30 UTC of the factories' market.
START_NS = (10 * 3600 + 30 * 60) * 10**9
QUANTITY = 100
WAIT_S = 20.0


@dataclass
class Life:
    """One order told in both languages: what was told so far, and what the venue thinks."""

    conn: psycopg.Connection
    inbox: OuchInbox
    fix_id: int
    ouch_id: int
    fix_cl: str
    ref: int
    sequence: Iterator[int]
    seconds: int = 0
    executed: int = 0
    canceled: int = 0
    dead: bool = False
    fix_cancel: str | None = None
    last_fill: tuple[int, str] = (1, "none")
    broken: bool = False
    told: list[tuple[str, list[dict[str, Any]]] | tuple[int, bytes]] = field(default_factory=list)
    fix_sent: list[dict[str, Any]] = field(default_factory=list)
    ouch_sent: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def leaves(self) -> int:
        return QUANTITY - self.executed - self.canceled

    # Two languages ----------------------------------------------------------------------------

    def say(self, letter: str, values: dict[str, Any], *reports: dict[int, object]) -> None:
        """Tell the venue's news once in OUCH and once in FIX."""
        self.seconds += 1
        stamp = {"timestamp": START_NS + self.seconds * 10**9}
        options = {} if ouch.FROM_VENUE[letter].appendage == "always" else None
        message = Message(letter, False, {**stamp, "user_ref_num": self.ref, **values}, options)
        number = next(self.sequence)
        raw = ouch.encode(message)
        self.ouch_sent.append((number, raw))
        assert self.inbox.receive(SESSION, number, raw)
        moment = AS_OF + timedelta(seconds=self.seconds)
        for n, report in enumerate(reports):
            fields: dict[int, object] = {
                8: "FIX.4.4",
                35: "8",
                34: len(self.fix_sent) + 1,
                52: f"{moment:%Y%m%d-%H:%M:%S}.000",
                11: self.fix_cl,
                17: f"{self.fix_id}-{self.seconds}-{n}",
                55: "IBM",
                54: "1",
                60: f"{moment:%Y%m%d-%H:%M:%S}.000",
                75: "20131008",
            }
            text = "".join(f"{t}={v}\x01" for t, v in (fields | report).items() if v is not None)
            parsed = codec.parse(text)
            message_json = codec.describe("in", "FIX.4.4:TSDB->SIM", text, parsed).as_json()
            sent = {
                "message": message_json,
                "report": codec_reports.decode_report(parsed).as_json(),
            }
            self.fix_sent.append(sent)
            self._fix(sent)

    def _fix(self, sent: dict[str, Any]) -> bool:
        row = self.conn.execute(
            "select applied from oms.record_report('SIM', %s, %s)",
            (Jsonb(sent["message"]), Jsonb(sent["report"])),
        ).fetchone()
        return bool(row and row[0])

    def repeat(self, rng: random.Random) -> None:
        """Send something again, as after a lost connection: nothing may change."""
        for sent in rng.sample(self.fix_sent, min(2, len(self.fix_sent))):
            if sent["report"]["msg_type"] == "8":
                assert not self._fix(sent)
        for number, raw in rng.sample(self.ouch_sent, min(2, len(self.ouch_sent))):
            assert not self.inbox.receive(SESSION, number, raw)

    # News of the venue --------------------------------------------------------------------------

    def accept(self) -> None:
        values = {
            "side": "B",
            "quantity": QUANTITY,
            "symbol": "IBM",
            "price": 1_000_100,
            "time_in_force": "0",
            "display": "Y",
            "order_reference_number": 900 + self.ref,
            "capacity": "P",
            "intermarket_sweep": "N",
            "cross_type": "N",
            "order_state": "L",
            "cl_ord_id": "",
        }
        self.say("A", values, {150: "0", 39: "0", 37: 900 + self.ref})

    def fill(self, shares: int, cents: int) -> None:
        shares = min(shares, self.leaves)
        self.executed += shares
        values = {
            "quantity": shares,
            "price": cents * 100,
            "liquidity_flag": "A",
            "match_number": 5000 + self.ref * 100 + self.seconds,
        }
        reports: list[dict[int, object]] = [
            {150: "F", 39: "1", 32: shares, 31: Decimal(cents) / 100}
        ]
        self.last_fill = (values["match_number"], f"{self.fix_id}-{self.seconds + 1}-0")
        if not self.leaves:
            self.dead = True
            if self.canceled or self.broken:
                reports.append({150: "4", 39: "4", 58: "the rest was taken off before"})
        self.say("E", values, *reports)

    def take_off(self, shares: int, code: str, reason: str, state: str) -> None:
        """Cancel some or all, asked for or not."""
        shares = min(shares, self.leaves)
        self.canceled += shares
        values = {"quantity": shares, "reason": code}
        if self.leaves:
            self.say("C", values, {150: "D", 58: f"reduced by {shares}: {reason}"})
            return
        self.dead = True
        ids: dict[int, object] = {}
        if self.fix_cancel is not None and state == "4":
            ids = {11: self.fix_cancel, 41: self.fix_cl}
        self.say("C", values, {150: state, 39: state, 58: reason, **ids})

    def ask_cancel(self) -> None:
        for order_id in (self.fix_id, self.ouch_id):
            self.conn.execute(
                "select oms.cancel_order(%s, %s, %s)", (order_id, uuid.uuid4(), AS_OF)
            )
        self.fix_cancel, cancel = self._cancel_of(self.fix_id), self._cancel_of(self.ouch_id)
        # The venue may be cancelling it already: then nothing is asked.
        assert (self.fix_cancel is None) == (cancel is None)
        if cancel is not None:
            assert api.assign_user_ref(self.conn, PORT, cancel) == self.ref

    def _cancel_of(self, order_id: int) -> str | None:
        row = self.conn.execute(
            "select cl_ord_id from oms.order_actions where order_id = %s and kind = 'cancel' "
            "and status <> 'void' order by action_id desc limit 1",
            (order_id,),
        ).fetchone()
        return str(row[0]) if row else None

    def refuse_cancel(self) -> None:
        if self.fix_cancel is None:
            return
        report: dict[int, object] = {
            35: "9",
            11: self.fix_cancel,
            41: self.fix_cl,
            102: "99",
            434: "1",
            58: "the venue refused the cancel",
        }
        self.say("I", {}, report)
        self.fix_cancel = None

    def reject(self) -> None:
        self.dead, self.canceled = True, self.leaves
        report: dict[int, object] = {150: "8", 39: "8", 103: "1", 58: "invalid symbol"}
        self.say("J", {"reason": 0x17, "cl_ord_id": ""}, report)

    def wait_cancel(self) -> None:
        ids = {11: self.fix_cancel, 41: self.fix_cl} if self.fix_cancel else {}
        self.say("P", {}, {150: "6", 39: "6", **ids})

    def restate(self) -> None:
        self.say("R", {"reason": "R"}, {150: "D", 58: "restated: R"})

    def bust(self) -> None:
        """Break the last fill, or one that never was."""
        self.broken = True
        match, exec_id = self.last_fill
        values = {"match_number": match, "reason": "E", "cl_ord_id": ""}
        self.say("B", values, {150: "H", 19: exec_id, 58: "trade broken: erroneous"})

    def prioritise(self) -> None:
        values = {"price": 1_000_100, "display": "Y", "order_reference_number": 77}
        self.say("T", values, {150: "D", 37: 77, 58: "priority changed"})


@dataclass
class Desk:
    """A session with limits wide enough, and lives in it."""

    conn: psycopg.Connection
    session: uuid.UUID
    inbox: OuchInbox
    sequence: Iterator[int]

    def submit(self) -> tuple[int, str]:
        found = submit(self.conn, order(self.session, quantity=str(QUANTITY)))
        order_id, status, reasons = found[0]
        assert status == "pending_new", reasons
        row = self.conn.execute(
            "select cl_ord_id from oms.orders where order_id = %s", (order_id,)
        ).fetchone()
        assert row is not None
        return order_id, str(row[0])

    def life(self) -> Life:
        (fix_id, fix_cl), (ouch_id, ouch_cl) = self.submit(), self.submit()
        ref = api.assign_user_ref(self.conn, PORT, ouch_cl)
        assert api.assign_user_ref(self.conn, PORT, ouch_cl) == ref
        return Life(self.conn, self.inbox, fix_id, ouch_id, fix_cl, ref, self.sequence)

    def close(self, life: Life) -> None:
        """Let go of what still works, so that limits on open orders are not met."""
        if life.dead:
            return
        if life.fix_cancel is not None:
            life.refuse_cancel()
        life.take_off(life.leaves, "S", "supervisory", "4")


@pytest.fixture
def desk(conn: psycopg.Connection) -> Desk:
    session = open_session(conn)
    set_quote(conn, session)
    inbox = OuchInbox(conn, PORT, "SIM", DAY)
    assert inbox.resume() == api.ResumePoint("", 1)
    return Desk(conn, session, inbox, iter(range(1, 1_000_000)))


def what_became(conn: psycopg.Connection, order_id: int) -> dict[str, Any]:
    """Return an order, its events, executions and breaks, without the names of messages."""
    detail = "detail - 'exec_id' - 'exec_ref_id' - 'cxl_rej_reason'"
    return {
        "order": conn.execute(
            "select status, cumulative_quantity, leaves_quantity, average_price, traded_value, "
            "event_count, case when reasons <> '{}' then reasons end from oms.orders "
            "where order_id = %s",
            (order_id,),
        ).fetchall(),
        "events": conn.execute(
            f"select event_no, kind, from_status, to_status, as_of, cumulative_quantity, "
            f"leaves_quantity, average_price, {detail} from oms.order_events "
            "where order_id = %s order by event_no",
            (order_id,),
        ).fetchall(),
        "executions": conn.execute(
            "select ts, trade_date, kind, side, quantity, price, fee from oms.executions "
            "where order_id = %s order by execution_id",
            (order_id,),
        ).fetchall(),
        "breaks": conn.execute(
            "select kind from oms.breaks where order_id = %s order by break_id", (order_id,)
        ).fetchall(),
        "actions": conn.execute(
            "select kind, status from oms.order_actions where order_id = %s order by action_id",
            (order_id,),
        ).fetchall(),
    }


def same(life: Life) -> dict[str, Any]:
    told = what_became(life.conn, life.ouch_id)
    assert told == what_became(life.conn, life.fix_id)
    return told


STEPS = (
    "fill",
    "fill",
    "reduce",
    "ask_cancel",
    "refuse_cancel",
    "wait_cancel",
    "cancel",
    "expire",
    "restate",
    "bust",
    "prioritise",
    "repeat",
)


def live(life: Life, steps: list[tuple[str, int, int]], *, rejected: bool, seed: int) -> None:
    """Walk an order through its life; steps that make no sense any more are passed over."""
    rng = random.Random(seed)
    if rejected:
        life.reject()
    else:
        life.accept()
    for step, shares, cents in steps:
        if step == "repeat":
            life.repeat(rng)
        elif step == "bust":
            life.bust()
        elif life.dead:
            continue
        elif step == "fill":
            life.fill(shares, cents)
        elif step == "reduce":
            life.take_off(shares, "D", "regulatory restriction", "4")
        elif step == "cancel":
            life.take_off(life.leaves, "U", "user requested", "4")
        elif step == "expire":
            life.take_off(life.leaves, "E", "closed", "C")
        elif step == "ask_cancel" and life.fix_cancel is None:
            life.ask_cancel()
        elif step != "ask_cancel":
            getattr(life, step)()


def test_lives_in_both_languages_leave_the_same_orders(desk: Desk) -> None:
    steps = st.tuples(st.sampled_from(STEPS), st.integers(1, QUANTITY), st.integers(9_990, 10_010))
    seen: set[str] = set()

    @given(st.lists(steps, max_size=9), st.integers(0, 9), st.integers(0, 99))
    @example([("fill", 100, 10_000)], 1, 0)
    @example([("fill", 1, 9990), ("bust", 1, 9990), ("fill", 99, 9990)], 1, 0)
    @example([("fill", 40, 10_000), ("expire", 1, 1)], 1, 0)
    @example([("ask_cancel", 1, 1), ("refuse_cancel", 1, 1), ("repeat", 1, 1)], 1, 0)
    @example([], 0, 0)
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    def run(told: list[tuple[str, int, int]], rejected: int, seed: int) -> None:
        life = desk.life()
        live(life, told, rejected=rejected == 0, seed=seed)
        same(life)
        desk.close(life)
        found = same(life)
        seen.add(found["order"][0][0])
        assert found["order"][0][2] == 0

    run()
    assert {"filled", "cancelled", "rejected", "expired"} <= seen


def test_order_reduced_then_filled_is_done_with_what_it_traded(desk: Desk) -> None:
    life = desk.life()
    life.accept()
    life.take_off(40, "D", "regulatory restriction", "4")
    life.fill(60, 10_000)
    status, filled, leaves = same(life)["order"][0][:3]
    assert (status, filled, leaves) == ("cancelled", 60, 0)


def test_two_orders_of_ours_that_meet_are_both_booked(desk: Desk) -> None:
    """Both are told the same match number."""
    first, second = desk.life(), desk.life()
    for life in (first, second):
        life.accept()
    values = {"quantity": 100, "price": 1_000_000, "liquidity_flag": "A", "match_number": 4711}
    for n, life in enumerate((first, second)):
        message = Message(
            "E", False, {"timestamp": START_NS + n, "user_ref_num": life.ref, **values}
        )
        assert desk.inbox.receive(SESSION, next(desk.sequence), ouch.encode(message))
        assert what_became(desk.conn, life.ouch_id)["order"][0][:2] == ("filled", 100)


def test_message_that_cannot_be_used_is_archived_and_told_and_the_next_ones_go_on(
    desk: Desk,
) -> None:
    life = desk.life()
    for raw in (b"", b"\xff\x00", b"E123", ouch.encode(no_time(life.ref)), free(life.ref)):
        assert desk.inbox.receive(SESSION, next(desk.sequence), raw)
    assert desk.inbox.resume() == api.ResumePoint(SESSION, 6)
    kinds = desk.conn.execute("select kind, count(*) from ops.alerts group by 1").fetchall()
    assert kinds == [("unusable_report", 5)]
    raws = desk.conn.execute(
        "select raw from oms.fix_messages where fix_session = %s order by seqnum", (PORT,)
    ).fetchall()
    assert [row[0] for row in raws][:3] == ["", "ff00", "45313233"]
    life.accept()
    same(life)


def no_time(ref: int) -> Message:
    return Message("P", False, {"timestamp": 86_400 * 10**9, "user_ref_num": ref})


def free(ref: int) -> bytes:
    values = {"quantity": 1, "price": 0, "liquidity_flag": "A", "match_number": 1}
    return ouch.encode(Message("E", False, {"timestamp": 1, "user_ref_num": ref, **values}))


def test_fill_of_an_order_nobody_entered_goes_to_suspense(desk: Desk) -> None:
    life = desk.life()
    life.ref += 50
    values = {
        **{"side": "S", "quantity": 10, "symbol": "IBM", "price": 1, "time_in_force": "0"},
        **{"display": "Y", "order_reference_number": 1, "capacity": "A"},
        **{"intermarket_sweep": "N", "cross_type": "N", "order_state": "L", "cl_ord_id": "X1"},
    }
    life.say("A", values)
    life.say("E", {"quantity": 10, "price": 1_000_000, "liquidity_flag": "A", "match_number": 1})
    assert desk.conn.execute(
        "select account, side, quantity, order_id from oms.executions"
    ).fetchall() == [("suspense", "sell", 10, None)]


def test_replacement_keeps_the_order_it_stands_for(desk: Desk) -> None:
    life = desk.life()
    life.accept()
    life.fill(30, 10_000)
    old, life.ref = life.ref, life.ref + 1000
    values = {
        **{"orig_user_ref_num": old, "side": "B", "quantity": 70, "symbol": "IBM"},
        **{"price": 1_000_200, "time_in_force": "0", "display": "Y", "capacity": "P"},
        **{"order_reference_number": 5, "intermarket_sweep": "N", "cross_type": "N"},
        **{"order_state": "L", "cl_ord_id": "R"},
    }
    life.say("U", values, {150: "5", 37: 5})
    life.fill(70, 10_010)
    assert same(life)["order"][0][:3] == ("filled", 100, 0)


def test_messages_out_of_turn_are_refused_and_change_nothing(desk: Desk) -> None:
    raw = ouch.encode(Message("S", False, {"timestamp": 1, "event_code": "S"}))
    with pytest.raises(InputError, match="message 2 came, 1 was to come"):
        desk.inbox.receive(SESSION, 2, raw)
    assert desk.inbox.receive(SESSION, 1, raw)
    assert not desk.inbox.receive(SESSION, 1, raw)
    assert desk.inbox.resume() == api.ResumePoint(SESSION, 2)


def test_port_on_a_new_day_starts_anew_and_never_goes_back(desk: Desk) -> None:
    desk.life()
    tomorrow = OuchInbox(desk.conn, PORT, "SIM", DAY + timedelta(days=1))
    assert tomorrow.resume() == api.ResumePoint("", 1)
    assert api.assign_user_ref(desk.conn, PORT, desk.submit()[1]) == 1
    with pytest.raises(ConflictError):
        desk.inbox.resume()
    with pytest.raises(UnknownObjectError):
        OuchInbox(desk.conn, "P2", "NONE", DAY).resume()
    with pytest.raises(UnknownObjectError):
        api.assign_user_ref(desk.conn, PORT, "nobody's")


def test_ouch_functions_are_for_workers_only(
    desk: Desk, connect_as: Callable[..., psycopg.Connection]
) -> None:
    worker = connect_as("tsdb_worker_gateway")
    assert OuchInbox(worker, PORT, "SIM", DAY).resume().next_sequence == 1
    quant = connect_as("tsdb_quant")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        OuchInbox(quant, PORT, "SIM", DAY).resume()


def test_order_sent_over_soupbin_is_booked_once_through_cut_lines(desk: Desk) -> None:
    """Split packets, heartbeats, two lost connections: every event once."""
    order_id, cl_ord_id = desk.submit()
    ref = api.assign_user_ref(desk.conn, PORT, cl_ord_id)
    rng = random.Random(7)

    def answer(payload: bytes) -> list[bytes]:
        entered = ouch.decode(payload, to_venue=True)
        values = {k: v for k, v in entered.values.items() if k != "cl_ord_id"}
        return [
            ouch.encode(
                Message(
                    "A",
                    False,
                    {
                        **values,
                        "timestamp": START_NS,
                        "order_reference_number": 1,
                        "order_state": "L",
                        "cl_ord_id": str(entered.values["cl_ord_id"]),
                    },
                    {},
                )
            )
        ]

    def pieces(data: bytes) -> list[bytes]:
        cut = rng.randrange(len(data))
        return [part for part in (data[:cut], data[cut:]) if part]

    server = SoupServer(SESSION, {"TSDB": "pw"}, answer, pieces=pieces, heartbeat_s=0.02)
    enter = Message(
        "O",
        True,
        {
            **{"user_ref_num": ref, "side": "B", "quantity": QUANTITY, "symbol": "IBM"},
            **{"price": 1_000_100, "time_in_force": "0", "display": "Y", "capacity": "P"},
            **{"intermarket_sweep": "N", "cross_type": "N", "cl_ord_id": str(ref)},
        },
        {},
    )
    applied = 0
    try:
        for turn in range(3):
            point = desk.inbox.resume()
            client = SoupClient(
                *(server.address, "TSDB", "pw", point.soup_session, point.next_sequence),
                heartbeat_s=0.02,
            )
            client.open()
            if turn == 0:
                client.send(ouch.encode(enter))
            else:
                server.publish(
                    ouch.encode(filled(ref, turn, 20)), ouch.encode(filled(ref, -turn, 30))
                )
            wanted = 1 if turn == 0 else 2
            got: list[tuple[int, bytes]] = []
            while len(got) < wanted:
                got += client.read(WAIT_S)
            # The second of two messages is lost with the line, and comes again.
            for number, payload in got[:1] if turn == 1 else got:
                applied += desk.inbox.receive(client.session, number, payload)
            server.drop()
            client.close()
            if turn == 2:
                assert [number for number, _ in got][:1] == [3]
        point = desk.inbox.resume()
        client = SoupClient(server.address, "TSDB", "pw", point.soup_session, point.next_sequence)
        client.open()
        while desk.inbox.resume().next_sequence <= 5:
            for number, payload in client.read(WAIT_S):
                applied += desk.inbox.receive(client.session, number, payload)
        client.close()
    finally:
        server.close()
    assert applied == 5
    assert what_became(desk.conn, order_id)["order"][0][:2] == ("filled", 100)
    assert desk.conn.execute(
        "select quantity from oms.executions order by execution_id"
    ).fetchall() == [(20,), (30,), (20,), (30,)]


def filled(ref: int, match: int, shares: int) -> Message:
    values = {"quantity": shares, "price": 1_000_000, "liquidity_flag": "A"}
    stamp = {"timestamp": START_NS + 10**9, "user_ref_num": ref, "match_number": 100 + match}
    return Message("E", False, {**stamp, **values})
