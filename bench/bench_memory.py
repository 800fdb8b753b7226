"""Peak memory of `tsdb-trader load`, by format and size of the file: it must not grow.

Each file is generated, loaded in a process of its own, and ten times as large loaded again.

usage: bench_memory.py [rows of the smaller file, 500000]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from bench_load import database, peak_megabytes
from tsdb_trader import db
from tsdb_trader.feeds import loader
from tsdb_trader.feeds.base import Options

AIM_MB = 500
STEP = 500_000
TRADES = """
kind = "trades"
symbol = "s"
time = { column = "t", format = "us" }
[columns]
price = "p"
size = "q"
exchange = "x"
"""


def tables(rows: int) -> list[pa.Table]:
    """Return trades of four symbols, in pieces."""
    found = []
    for start in range(0, rows, STEP):
        number = np.arange(start, min(rows, start + STEP))
        names = np.array(["AAA", "BBB", "CCC", "DDD"])[number % 4]
        found.append(
            pa.table(
                {
                    "t": 1_381_150_800_000_000 + number * 1000,
                    "s": names,
                    "p": np.round(100 + (number % 977) / 100, 2),
                    "q": number % 500 + 1,
                    "x": np.array(["N", "Q", "P"])[number % 3],
                }
            )
        )
    return found


def write_csv(folder: Path, rows: int) -> Path:
    """Write a CSV with a header."""
    path = folder / "f.csv"
    with path.open("wb") as out:
        for number, table in enumerate(tables(rows)):
            options = pa_csv.WriteOptions(include_header=not number, quoting_style="none")
            pa_csv.write_csv(table, out, options)
    return path


def write_parquet(folder: Path, rows: int) -> Path:
    """Write Parquet in row groups."""
    path = folder / "f.parquet"
    parts = tables(rows)
    with pq.ParquetWriter(path, parts[0].schema) as writer:
        for table in parts:
            writer.write_table(table)
    return path


def write_lean(folder: Path, rows: int) -> Path:
    """Write an archive of quotes."""
    path = folder / "aaa" / "20131007_quote.zip"
    path.parent.mkdir()
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
        packed.open("20131007_aaa_Quote_Tick.csv", "w", force_zip64=True) as out,
    ):
        for start in range(0, rows, STEP):
            number = np.arange(start, min(rows, start + STEP))
            ms = 14_400_000 + number * 50_000_000 // rows
            price, zero = 1_000_000 + number % 977, np.zeros_like(number)
            bid = number % 2 == 0
            columns = {
                "ms": ms,
                "b": np.where(bid, price, zero),
                "bs": np.where(bid, 100, zero),
                "a": np.where(bid, zero, price + 100),
                "as": np.where(bid, zero, 100),
                "x": np.full(len(number), "P"),
                "c": zero + 1,
                "f": zero,
            }
            options = pa_csv.WriteOptions(include_header=False, quoting_style="none")
            sink = pa.BufferOutputStream()
            pa_csv.write_csv(pa.table(columns), sink, options)
            out.write(sink.getvalue())
    return path


def write_taq(folder: Path, rows: int) -> Path:
    """Write raw TAQ quotes."""
    path = folder / "taq.csv"
    with path.open("w") as out:
        out.write("DT,EX,BID,BIDSIZ,OFR,OFRSIZ,SYMBOL\n")
        for start in range(0, rows, STEP):
            for i in range(start, min(rows, start + STEP)):
                second = i * 50_000 // rows
                clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
                out.write(
                    f"2018-01-02 {clock}.{i % 1000:09},P,{100 + i % 97 / 100:.2f},1,102.5,1,XXX\n"
                )
    return path


FILES: dict[str, Callable[[Path, int], Path]] = {
    "lean": write_lean,
    "csv": write_csv,
    "parquet": write_parquet,
    "taq": write_taq,
}


def load(format_name: str, path: str, url: str) -> None:
    """Load a file and print the rows stored and this process's peak memory."""
    mapping = Path(path).with_name("m.toml")
    mapping.write_text(TRADES)
    with db.connect(url, autocommit=True) as conn:
        report = loader.load(conn, format_name, [Path(path)], options=Options(mapping))
    print(report.total().stored, peak_megabytes())


def main(rows: int) -> None:
    """Print a line per format."""
    for name, write in FILES.items():
        peaks = []
        for count in (rows, 10 * rows):
            with tempfile.TemporaryDirectory() as temporary, database() as conn:
                path = write(Path(temporary), count)
                url = os.environ.get("TSDB_TRADER_DATABASE_URL") or _url(conn)
                done = subprocess.run(
                    [sys.executable, __file__, "--load", name, str(path), url],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                stored, peak = map(int, done.stdout.split())
                assert stored == count
                peaks.append(peak)
        print(
            f"{name}: {rows:,} rows {peaks[0]:,.0f} MB, {10 * rows:,} rows {peaks[1]:,.0f} MB "
            f"(aim: under {AIM_MB} MB, flat)"
        )


def _url(conn) -> str:  # type: ignore[no-untyped-def]
    from tsdb_trader import embedded

    return embedded.ensure_running().url(database=conn.info.dbname)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--load"]:
        load(*sys.argv[2:5])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 500_000)
