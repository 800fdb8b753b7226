"""Opening and reading files, with errors that name the file and say what to do."""

from __future__ import annotations

import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from tsdb_trader.errors import InputError


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a file's bytes into an `InputError` that names it."""
    try:
        yield
    except (zipfile.BadZipFile, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError) as error:
        raise InputError(f"{path}: damaged ({error}); get the file anew") from None
    except NotImplementedError as error:
        raise InputError(f"{path}: damaged or packed in a way not known ({error})") from None
    except RuntimeError as error:
        if "encrypted" not in str(error):
            raise
        raise InputError(f"{path}: the zip is encrypted; unpack and zip it") from None
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"{path}: cannot be read ({why}); check its rights") from None


def open_plain(path: Path) -> BinaryIO:
    """Open a file, unpacking ``.gz`` on the way."""
    with reading(path):
        if path.suffix == ".gz":
            return cast(BinaryIO, gzip.open(path))
        return path.open("rb")


def find_files(
    paths: Iterable[Path], name: re.Pattern[str], what: str, expected: str
) -> list[Path]:
    """Return the files named, and those in the folders named whose whole name fits, once each.

    Parameters
    ----------
    what, expected
        The files' kind, and what their names are like, for messages.

    Raises
    ------
    InputError
        A path is not there or cannot be read, or a folder has no such file.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        with reading(path):
            if not path.exists():
                raise InputError(f"{path}: no such file or folder; check the path")
            inside = [path]
            if path.is_dir():
                inside = sorted(p for p in path.rglob("*") if name.fullmatch(p.name))
                inside = [p for p in inside if p.is_file()]
                if not inside:
                    raise InputError(f"{path}: no {what} files in this folder; expected {expected}")
            for file in inside:
                found.setdefault(file.resolve(), file)
    return list(found.values())
