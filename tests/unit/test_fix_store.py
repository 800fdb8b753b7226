"""Reading QuickFIX's message store: what the engine wrote, whole or cut short."""

from __future__ import annotations

from pathlib import Path

import pytest
import quickfix

from tsdb_trader.fix.store import MessageStore, StoreError

PREFIX = "FIX.4.4-TSDB-SIM"


def write(folder: Path, header: str, body: bytes) -> MessageStore:
    (folder / f"{PREFIX}.header").write_text(header)
    (folder / f"{PREFIX}.body").write_bytes(body)
    return MessageStore(folder, "FIX.4.4", "TSDB", "SIM")


def test_store_written_by_the_engine_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "cfg").write_text(
        "[SESSION]\nBeginString=FIX.4.4\nSenderCompID=TSDB\nTargetCompID=SIM\n"
        f"ConnectionType=initiator\nFileStorePath={tmp_path}\nStartTime=00:00:00\n"
        "EndTime=00:00:00\n"
    )
    factory = quickfix.FileStoreFactory(quickfix.SessionSettings(str(tmp_path / "cfg")))
    engine = factory.create(quickfix.UtcTimeStamp(), quickfix.SessionID("FIX.4.4", "TSDB", "SIM"))
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
