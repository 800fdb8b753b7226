"""Reading QuickFIX's message store: what the engine wrote, whole or cut short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import quickfix

from tsdb_trader.fix.store import MessageStore, StoreError

PREFIX = "FIX.4.4-TSDB-SIM"


def write(folder: Path, header: str, body: bytes) -> MessageStore:
    (folder / f"{PREFIX}.header").write_text(header)
    (folder / f"{PREFIX}.body").write_bytes(body)
    return MessageStore(folder, "FIX.4.4", "TSDB", "SIM")


def engine_store(folder: Path) -> Any:
    """Return the engine's own store."""
    (folder / "cfg").write_text(
        "[SESSION]\nBeginString=FIX.4.4\nSenderCompID=TSDB\nTargetCompID=SIM\n"
        f"ConnectionType=initiator\nFileStorePath={folder}\nStartTime=00:00:00\n"
        "EndTime=00:00:00\n"
    )
    factory = quickfix.FileStoreFactory(quickfix.SessionSettings(str(folder / "cfg")))
    return factory.create(quickfix.UtcTimeStamp(), quickfix.SessionID("FIX.4.4", "TSDB", "SIM"))


def test_store_written_by_the_engine_is_read_back(tmp_path: Path) -> None:
    engine = engine_store(tmp_path)
    written = {n: f"8=FIX.4.4\x0135=D\x0134={n}\x0158=é{'x' * n}\x01" for n in (1, 2, 5, 12)}
    for number, raw in written.items():
        engine.set(number, raw)
    engine.setNextSenderMsgSeqNum(13)
    engine.setNextTargetMsgSeqNum(4)
    store = MessageStore(tmp_path, "FIX.4.4", "TSDB", "SIM")
    assert dict(store.messages()) == written
    assert store.read(5) == written[5]
    assert store.read(3) is None
    assert store.next_numbers() == (13, 4)


def test_store_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    store = MessageStore(tmp_path, "FIX.4.4", "TSDB", "SIM")
    assert list(store.messages()) == []
    assert store.read(1) is None
    assert store.next_numbers() == (1, 1)


def test_store_with_number_used_twice_gives_the_last(tmp_path: Path) -> None:
    store = write(tmp_path, "1,0,3 2,3,3 2,6,3 ", b"aaabbbccc")
    assert list(store.messages()) == [(1, "aaa"), (2, "ccc")]


@pytest.mark.parametrize("cut", ["2,3,3", "2,3", "2", "2,"])
def test_store_with_cut_index_leaves_the_entry_out(tmp_path: Path, cut: str) -> None:
    store = write(tmp_path, f"1,0,3 {cut}", b"aaabbb")
    assert list(store.messages()) == [(1, "aaa")]


@pytest.mark.parametrize("cut", ["2,3,3", "2,3", "2", "2,"])
def test_store_with_cut_index_is_mended_before_more_is_written(tmp_path: Path, cut: str) -> None:
    store = write(tmp_path, f"1,0,3 {cut}", b"aaabbb")
    store.mend()
    index = tmp_path / f"{PREFIX}.header"
    index.write_text(index.read_text() + "2,6,3 ")
    (tmp_path / f"{PREFIX}.body").write_bytes(b"aaabbbccc")
    assert list(store.messages()) == [(1, "aaa"), (2, "ccc")]


@pytest.mark.parametrize("index", ["", "1,0,3 2,3,3 "])
def test_store_that_is_whole_is_left_as_it_is(tmp_path: Path, index: str) -> None:
    write(tmp_path, index, b"aaabbb").mend()
    assert (tmp_path / f"{PREFIX}.header").read_text() == index


def test_store_with_garbage_in_index_is_not_mended(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="unreadable at byte 6"):
        write(tmp_path, "1,0,3 hello", b"aaa").mend()


def test_store_with_cut_text_leaves_the_message_out(tmp_path: Path) -> None:
    store = write(tmp_path, "1,0,3 2,3,3 ", b"aaabb")
    assert list(store.messages()) == [(1, "aaa")]
    assert store.read(2) is None


def test_store_with_garbage_in_index_is_refused(tmp_path: Path) -> None:
    store = write(tmp_path, "1,0,3 hello 2,3,3 ", b"aaabbb")
    with pytest.raises(StoreError, match="unreadable at byte 6"):
        list(store.messages())


def test_store_with_garbage_numbers_is_refused(tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}.seqnums").write_text("nothing")
    with pytest.raises(StoreError, match="seqnums"):
        MessageStore(tmp_path, "FIX.4.4", "TSDB", "SIM").next_numbers()


def message(number: int, kind: str, *fields: tuple[int, str]) -> str:
    """Return a valid message."""
    body = f"35={kind}\x0134={number}\x0149=TSDB\x0152=20240102-03:04:05.678\x0156=SIM\x01"
    body += "".join(f"{tag}={value}\x01" for tag, value in fields)
    text = f"8=FIX.4.4\x019={len(body)}\x01{body}"
    return f"{text}10={sum(text.encode()) % 256:03d}\x01"


def logon(number: int, password: str) -> str:
    return message(number, "A", (98, "0"), (108, "10"), (553, "us"), (554, password))


def test_store_that_is_scrubbed_has_no_password_and_reads_as_before(tmp_path: Path) -> None:
    engine = engine_store(tmp_path)
    store = MessageStore(tmp_path, "FIX.4.4", "TSDB", "SIM")
    assert store.scrub() == 0
    order = message(2, "D", (11, "C1"), (58, "554=s3cret"))
    old = message(4, "A", (98, "0"), (108, "10"), (95, "6"), (96, "s3cret"), (925, "s3cret2"))
    for number, raw in ((1, logon(1, "s3cret")), (2, order), (3, logon(3, "s3cret"))):
        engine.set(number, raw)
    assert store.scrub() == 2
    engine.set(4, old)
    engine.set(5, message(5, "0"))
    assert store.scrub() == 1
    assert store.scrub() == 0
    kept = dict(store.messages())
    assert kept[2] == order
    assert kept[3] == logon(3, "******")
    assert {n for n, raw in kept.items() if "s3cret" in raw} == {2}
    for raw in kept.values():
        quickfix.Message(raw, True)
    # A new process looks at everything again, and finds what another has left.
    assert MessageStore(tmp_path, "FIX.4.4", "TSDB", "SIM").scrub() == 3
    assert dict(store.messages()) == kept


@pytest.mark.parametrize("cut", [4, 6, 12])
def test_store_with_cut_logon_keeps_no_password_and_the_next_message(
    tmp_path: Path, cut: int
) -> None:
    following = message(2, "D", (11, "C1")).encode()
    # Cut in the trailer, before it, and in the password itself.
    write(tmp_path, "", logon(1, "8=FIX.4.4").encode()[:-cut] + following)
    assert MessageStore(tmp_path, "FIX.4.4", "TSDB", "SIM").scrub() == 1
    kept = (tmp_path / f"{PREFIX}.body").read_bytes()
    assert b"554=8" not in kept
    assert kept.endswith(following)
