"""A table of stacked frames that keeps each frame once, compressed, bit for bit.

The four frames of a step are the three last ones of the step before, and one more. So a row is
kept as four numbers of frames. Frames lie in blocks of consecutive ones, as differences to the
frame before, deflated at level 1: a frame of Seaquest, 84 x 84 bytes, takes 175 bytes on average,
10 microseconds to write and 5 to read.
"""

import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

BLOCK = 32  # frames
_RECORD = struct.Struct("<II")  # a block's number and size, before its bytes


def _deflated(frames: np.ndarray) -> bytes:
    """Frames uint8 [n, ...] as bytes."""
    differences = frames.copy()
    differences[1:] -= frames[:-1]
    squeeze = zlib.compressobj(1, zlib.DEFLATED, -15)
    return squeeze.compress(differences.data) + squeeze.flush()


def _inflated(data: bytes, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """The first `count` frames of what `_deflated` gave."""
    size = int(np.prod(shape))
    frames = np.empty((count, *shape), np.uint8)
    content = zlib.decompressobj(-15).decompress(data, count * size)
    frames.reshape(-1)[:] = np.frombuffer(content, np.uint8)
    for before, frame in pairwise(frames):
        frame += before
    return frames


@dataclass
class _Open:
    """The end of what was written in consecutive rows: a block that is not full yet."""

    block: int
    frames: np.ndarray  # [BLOCK, h, w]
    count: int
    numbers: np.ndarray  # of the frames of the last row
    stack: np.ndarray  # the last row


class Stacks:
    """Room for `capacity` rows uint8 [k, h, w]; memory is allocated as rows are written.

    Each row is written once. What is written right after another row should continue it, as then
    they share frames; the environments of a run each have a range of rows.
    """

    def __init__(self, capacity: int, shape: tuple[int, ...]):
        self.shape = tuple(shape)
        self.frame = self.shape[1:]
        self._numbers = np.zeros((capacity, shape[0]), np.int32)
        self._blocks: list[bytes | None] = []  # None: still open
        self._open: dict[int, _Open] = {}  # by the row that will go on
        self._full: list[int] = []  # blocks in the order in which they were filled
        self._ends: list[int] = []  # where their records end in the journal

    def __len__(self) -> int:
        return len(self._numbers)

    def __setitem__(self, place: slice, rows: np.ndarray) -> None:
        """Write rows uint8 [n, k, h, w] to n consecutive places that hold none yet."""
        begin, end, _ = place.indices(len(self))
        if end - begin != len(rows):
            raise ValueError(f"{len(rows)} rows do not fill {begin} to {end} of {len(self)}")
        if not len(rows):
            return
        lane = self._open.pop(begin, None) or self._begun()
        for row, stack in zip(range(begin, end), rows, strict=True):
            self._numbers[row] = self._add(lane, stack)
        lane.stack = rows[-1].copy()
        self._open[end] = lane

    def _begun(self) -> _Open:
        numbers = np.full(self.shape[0], -1)
        lane = _Open(0, np.empty((0, *self.frame), np.uint8), 0, numbers, np.empty(0, np.uint8))
        self._open_block(lane)
        return lane

    def _open_block(self, lane: _Open) -> None:
        lane.block, lane.count = len(self._blocks), 0
        lane.frames = np.empty((BLOCK, *self.frame), np.uint8)
        self._blocks.append(None)

    def _add(self, lane: _Open, stack: np.ndarray) -> np.ndarray:
        """The numbers of a stack's frames, of which new ones are added."""
        if lane.stack.size and np.array_equal(stack[:-1], lane.stack[1:]):
            numbers = np.append(lane.numbers[1:], self._new(lane, stack[-1]))
        else:
            numbers = np.empty(len(stack), np.int64)
            for i, frame in enumerate(stack):
                same = i > 0 and np.array_equal(frame, stack[i - 1])
                numbers[i] = numbers[i - 1] if same else self._new(lane, frame)
        lane.numbers, lane.stack = numbers, stack
        return numbers

    def _new(self, lane: _Open, frame: np.ndarray) -> int:
        """Add a frame; returns its number."""
        if lane.count == BLOCK:
            self._fill(lane.block, _deflated(lane.frames))
            self._open_block(lane)
        lane.frames[lane.count] = frame
        lane.count += 1
        return lane.block * BLOCK + lane.count - 1

    def _fill(self, block: int, data: bytes) -> None:
        self._blocks[block] = data
        self._full.append(block)
        before = self._ends[-1] if self._ends else 0
        self._ends.append(before + _RECORD.size + len(data))

    def __getitem__(self, index: slice | np.ndarray) -> "Pictures":
        """The rows [..., k, h, w] of a slice or of int64 positions [...]."""
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        return Pictures(self, index)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Rows uint8 [..., k, h, w] at int64 positions [...]."""
        numbers = self._numbers[rows]
        found, where = np.unique(numbers, return_inverse=True)
        frames = np.empty((len(found), *self.frame), np.uint8)
        blocks, offsets = np.divmod(found, BLOCK)
        opened = {lane.block: lane.frames for lane in self._open.values()}
        ends = np.flatnonzero(np.diff(blocks, append=-1)) + 1  # of each block in `found`
        begin = 0
        for end in ends.tolist():
            block, last = int(blocks[begin]), int(offsets[end - 1])
            data = self._blocks[block]
            whole = opened[block] if data is None else _inflated(data, last + 1, self.frame)
            frames[begin:end] = whole[offsets[begin:end]]
            begin = end
        return frames[where.reshape(numbers.shape)]

    @property
    def nbytes(self) -> int:
        """Bytes that frames take, without the numbers of rows."""
        blocks = sum(len(data) for data in self._blocks if data is not None)
        return blocks + len(self._open) * BLOCK * int(np.prod(self.frame))

    # --- saving ---

    @property
    def numbers(self) -> np.ndarray:
        """The numbers of each row's frames, int32 [capacity, k]: all of a row but its pixels."""
        return self._numbers

    def journal(self, begin: int) -> Iterator[np.ndarray]:
        """The records of full blocks, uint8, that follow the first `begin` bytes of them."""
        for at in range(bisect_right(self._ends, begin), len(self._full)):
            block = self._full[at]
            data = self._blocks[block]
            assert data is not None
            yield np.frombuffer(_RECORD.pack(block, len(data)) + data, np.uint8)

    def state_dict(self) -> dict[str, Any]:
        """What is neither in `numbers` nor in the journal: blocks that are not full."""
        kept = [_deflated(lane.frames[: lane.count]) for lane in self._open.values()]
        known = [(row, lane.block, lane.count) for row, lane in self._open.items()]
        return {
            "open": np.array(known, np.int64).reshape(-1, 3),
            "sizes": np.array([len(data) for data in kept], np.int64),
            "content": np.frombuffer(b"".join(kept), np.uint8),
        }

    def extend(self, journal: Iterable[np.ndarray]) -> None:
        """Take over the full blocks of another table: its journal, in pieces of any size."""
        pending = bytearray()
        for piece in journal:
            pending += piece.data
            at = 0
            while len(pending) - at >= _RECORD.size:
                block, size = _RECORD.unpack_from(pending, at)
                if len(pending) - at - _RECORD.size < size:
                    break
                at += _RECORD.size + size
                self._grow(block + 1)
                self._fill(block, bytes(pending[at - size : at]))
            del pending[:at]

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the other blocks, of a table whose `numbers` and journal this one has."""
        begin = 0
        for (row, block, count), size in zip(
            state["open"].tolist(), state["sizes"].tolist(), strict=True
        ):
            data = state["content"][begin : begin + size].tobytes()
            begin += size
            self._grow(block + 1)
            frames = np.empty((BLOCK, *self.frame), np.uint8)
            frames[:count] = _inflated(data, count, self.frame)
            numbers = self._numbers[row - 1].astype(np.int64)
            self._open[row] = _Open(block, frames, count, numbers, np.empty(0, np.uint8))
            self._open[row].stack = self.read(np.array(row - 1))

    def share(self, other: "Stacks") -> None:
        """Take the frames of another table, which must not be written to any more."""
        self._blocks, self._open = other._blocks, other._open

    def _grow(self, blocks: int) -> None:
        self._blocks.extend([None] * (blocks - len(self._blocks)))


@dataclass(frozen=True)
class Pictures:
    """Rows of a table as an array uint8 [..., k, h, w] that is read only where it is needed.

    rows: int64 [...]. `numpy.asarray` reads all of them.
    """

    table: Stacks
    rows: np.ndarray

    dtype = np.dtype(np.uint8)

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.rows.shape, *self.table.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> "Pictures":
        """Some of the rows, whole ones."""
        return Pictures(self.table, np.asarray(self.rows[index]))

    def reshape(self, *shape: int) -> "Pictures":
        """The same rows in other dimensions; the last three stay as they are."""
        return Pictures(self.table, self.rows.reshape(shape[:-3]))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.table.read(self.rows), dtype)


def joined(parts: Sequence[Pictures]) -> Pictures:
    """The pictures [n, ...] of several in a table of their own."""
    rows = np.concatenate([part.rows.reshape(-1) for part in parts])
    table, begin = Stacks(len(rows), parts[0].table.shape), 0
    for part in parts:
        flat = part.rows.reshape(-1)
        for first in range(0, len(flat), BLOCK):
            some = part.table.read(flat[first : first + BLOCK])
            table[begin : begin + len(some)] = some
            begin += len(some)
    return Pictures(table, np.arange(len(rows)).reshape(-1, *parts[0].rows.shape[1:]))


def for_file(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Arrays by name, some of them pictures, as arrays for numpy to save.

    `from_file` reads them. Rows of which there are several are saved once.
    """
    kept: dict[str, np.ndarray] = {}
    for name, value in arrays.items():
        if not isinstance(value, Pictures):
            kept[name] = value
            continue
        rows, where = np.unique(value.rows, return_inverse=True)
        table = joined([Pictures(value.table, rows)]).table
        parts = {
            "rows": where.reshape(value.rows.shape),
            "numbers": table.numbers,
            "frame": np.array(table.frame),
            "journal": np.concatenate([np.empty(0, np.uint8), *table.journal(0)]),
            **table.state_dict(),
        }
        kept |= {f"{name}.{part}": of for part, of in parts.items()}
    return kept


def from_file(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The arrays that `for_file` was given. Raises LookupError if a part of pictures is missing."""
    found: dict[str, Any] = dict(arrays)
    for name in [key.removesuffix(".journal") for key in arrays if key.endswith(".journal")]:
        parts = {
            part: found.pop(f"{name}.{part}")
            for part in ("rows", "numbers", "frame", "journal", "open", "sizes", "content")
        }
        numbers = parts["numbers"]
        table = Stacks(len(numbers), (numbers.shape[1], *parts["frame"].tolist()))
        table.numbers[:] = numbers
        table.extend([parts["journal"]])
        table.load_state_dict(parts)
        found[name] = Pictures(table, parts["rows"])
    return found
