"""Opening and reading files, with errors that name the file and say what to do."""

from __future__ import annotations

import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
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
