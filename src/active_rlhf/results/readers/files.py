"""Opening files of any compression, and looking at their beginning."""

import bz2
import csv
import gzip
import lzma
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pandas as pd

from active_rlhf.errors import line
from active_rlhf.results.comparable import ExportError
from active_rlhf.results.readers.reader import Head

CHUNK = 1_000_000  # rows of a table that are read at a time
LOOK = 2**20  # bytes that a head holds
PACKED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
ZSTD = b"\x28\xb5\x2f\xfd"
DELIMITERS = ",;\t|"


@contextmanager
def reading(path: Path, kind: str = "") -> Iterator[None]:
    """Turn what a library may raise for a damaged file into an ExportError that names it."""
    try:
        yield
    except (ExportError, MemoryError):
        raise
    except FileNotFoundError:
        raise ExportError(f"{path}: no such file") from None
    except Exception as error:  # libraries may raise anything for damaged bytes
        what = f"not readable as {kind}" if kind else "not readable"
        raise ExportError(f"{path}: {what}: {line(error)[:300]}") from None


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, decompressed if its first bytes say so."""
    with open(path, "rb") as file:
        start = file.read(6)
    for magic, opener in PACKED.items():
        if start.startswith(magic):
            with opener(path, "rb") as unpacked:
                yield cast(IO[bytes], unpacked)
            return
    if start.startswith(ZSTD):
        import pyarrow

        with pyarrow.input_stream(str(path), compression="zstd") as unpacked:
            yield unpacked
        return
    with open(path, "rb") as file:
        yield file


def head_of(path: Path) -> Head:
    """The head of a file; raises ExportError if it cannot be read."""
    with reading(path):
        with opened(path) as file:
            start = file.read(LOOK)
        if start.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
            return Head(path, start, members=tuple(n.removesuffix(".npy") for n in names))
        if start.startswith(b"PAR1"):
            import pyarrow.parquet

            return Head(path, start, tuple(pyarrow.parquet.read_schema(path).names))
    lines = start.decode("utf-8-sig", "replace").splitlines()
    before = next((i for i, text in enumerate(lines) if text and not text.startswith("#{")), 0)
    first = lines[before] if lines else ""
    try:
        rows = {d: next(csv.reader([first], delimiter=d), []) if first else [] for d in DELIMITERS}
    except csv.Error:  # such as a value longer than any name
        return Head(path, start)
    delimiter = max(DELIMITERS, key=lambda d: len(rows[d]))
    if b"\0" in start or not first.replace("\t", "").isprintable():
        return Head(path, start)
    columns = tuple(name.strip() for name in rows[delimiter])
    return Head(path, start, columns, delimiter, before=before)


def tables(head: Head, columns: list[str]) -> Iterator[pd.DataFrame]:
    """These columns of a table as text or numbers, some rows at a time.

    The index is the line (of a Parquet file, the row) that a row stands in, as far as no cell holds
    a line break. Raises ExportError if the file cannot be read.
    """
    if head.start.startswith(b"PAR1"):
        yield from _parquet(head, columns)
        return
    with reading(head.path, "a table"):
        with opened(head.path) as file:
            if any(b"\0" in block for block in iter(lambda: file.read(2**20), b"")):
                raise ValueError("it holds zero bytes")
        with opened(head.path) as file:
            options: dict[str, Any] = {
                **{"sep": head.delimiter, "skiprows": head.before, "encoding": "utf-8-sig"},
                **{"low_memory": False, "keep_default_na": False, "na_values": [""]},
                **{"chunksize": CHUNK, "skip_blank_lines": False},
            }
            with pd.read_csv(file, **options) as chunks:
                for chunk in chunks:
                    if not isinstance(chunk.index, pd.RangeIndex):
                        raise ValueError("rows have more values than the header has names")
                    chunk.columns = chunk.columns.astype(str).str.strip()
                    blank = chunk.isna().all(axis=1)
                    chunk = chunk[columns].set_axis(chunk.index + head.before + 2)
                    yield chunk[~blank.to_numpy()]


def _parquet(head: Head, columns: list[str]) -> Iterator[pd.DataFrame]:
    import pyarrow.parquet

    with (
        reading(head.path, "Parquet"),
        pyarrow.parquet.ParquetFile(head.path, page_checksum_verification=True) as file,
    ):
        place = 1
        for batch in file.iter_batches(CHUNK, columns=columns):
            frame = batch.to_pandas()[columns]
            yield frame.set_axis(pd.RangeIndex(place, place + len(frame)))
            place += len(frame)


def renamed(frame: pd.DataFrame, found: dict[str, str]) -> pd.DataFrame:
    """The columns under our names."""
    return frame.rename(columns={theirs: ours for ours, theirs in found.items()})
