"""State that survives a kill: two generations of it, and growing files that both share.

A state is a tree of mappings and lists whose leaves are arrays and JSON values. A generation is one
file that begins with the SHA-256 of the rest, so that damage is noticed. Rows, and what else only
grows, are written only once, so a checkpoint of a long history costs only what is new.
"""

import hashlib
import io
import json
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from active_rlhf.files import atomic, remove_unfinished

LATEST, PREVIOUS, ROWS, PICTURES = "latest", "previous", "rows", "pictures"
CHUNK = 1 << 16  # rows read at once
BYTES = np.dtype(np.uint8)  # a row of any other file that grows
_ARRAY = "__array__"  # the key under which JSON refers to an array


FORMAT = "1"  # of the files; others are not read


class Unusable(ValueError):
    """A generation is damaged, or belongs to something else."""


def pack(tree: Any) -> bytes:
    """A tree as bytes that begin with the SHA-256 of the rest; nothing is pickled.

    Arrays keep type, shape and every bit, and floats every bit. Keys must be strings; tuples become
    lists. Raises TypeError for a leaf that is neither an array nor a JSON value.
    """
    arrays: list[np.ndarray] = []

    def reference(leaf: Any) -> dict[str, int]:
        if not isinstance(leaf, np.ndarray) or leaf.dtype.hasobject:
            raise TypeError(f"a checkpoint cannot hold a {type(leaf).__name__}")
        arrays.append(leaf)
        return {_ARRAY: len(arrays) - 1}

    text = json.dumps(tree, default=reference)
    buffer = io.BytesIO()
    np.savez(buffer, np.frombuffer(text.encode(), np.uint8), *arrays)
    return hashlib.sha256(buffer.getbuffer()).hexdigest().encode() + buffer.getbuffer()


def unpack(data: bytes) -> Any:
    """The tree that `pack` was given. Raises Unusable if the bytes are not what it returned."""
    digest, payload = data[:64], memoryview(data)[64:]
    if hashlib.sha256(payload).hexdigest().encode() != digest:
        raise Unusable("is damaged")
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as file:
            text, *arrays = (file[name] for name in file.files)
        return json.loads(
            text.tobytes(),
            object_hook=lambda leaf: arrays[leaf[_ARRAY]] if leaf.keys() == {_ARRAY} else leaf,
        )
    except (ValueError, LookupError, zipfile.BadZipFile) as error:
        raise Unusable(f"cannot be read ({error})") from error


class Checkpoints:
    """The checkpoints of one process in `folder`, where nothing else writes meanwhile.

    identity: what must match for a state to be usable, as name -> value; row: the type of a row;
    say: called with one line about anything found that cannot be used; journals: names of further
    files that grow, of bytes.
    """

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, str],
        row: np.dtype,
        say: Callable[[str], None],
        journals: Iterable[str] = (),
    ):
        self.folder, self.row, self.say = folder, row, say
        self.identity = {"format": FORMAT, **identity}
        self._types = {ROWS: row, **dict.fromkeys(journals, BYTES)}
        self._forget()

    def _forget(self) -> None:
        self.saved = dict.fromkeys(self._types, 0)
        """How much of each file that grows belongs to the last state: rows, or bytes."""
        self._digests = {name: hashlib.sha256() for name in self._types}  # of these

    @property
    def rows_saved(self) -> int:
        return self.saved[ROWS]

    def save(
        self, state: Any, rows: Iterable[np.ndarray], **journals: Iterable[np.ndarray]
    ) -> None:
        """Append `rows`, those after the first `rows_saved`, and make `state` the latest one.

        journals: likewise what is new in each of them. Raises OSError, for example if the disk is
        full; former generations are then unchanged.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        saved = {name: self._append(name, new) for name, new in {ROWS: rows, **journals}.items()}
        latest = self.folder / LATEST
        content: dict[str, Any] = {"identity": self.identity}
        for name, (count, digest) in saved.items():
            content |= {name: count, f"{name}_sha256": digest.hexdigest()}
        with atomic(latest) as temporary:
            temporary.write_bytes(pack(content | {"state": state}))
            if latest.exists():
                os.replace(latest, self.folder / PREVIOUS)
        self.saved = {name: count for name, (count, _) in saved.items()}
        self._digests = {name: digest for name, (_, digest) in saved.items()}

    def _append(self, name: str, new: Iterable[np.ndarray]) -> tuple[int, Any]:
        """Write what is new in a file; returns how much it holds then, and the digest of it."""
        digest, count = self._digests[name].copy(), self.saved[name]
        handle = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT, 0o644)
        with open(handle, "wb") as file:
            file.seek(count * self._types[name].itemsize)
            for part in new:
                data = np.ascontiguousarray(part).view(np.uint8).data
                file.write(data)
                digest.update(data)
                count += len(part)
            file.flush()
            os.fsync(handle)
        return count, digest

    def foreign(self) -> list[str]:
        """The names in which the latest generation's identity differs; none without one."""
        try:
            found = unpack((self.folder / LATEST).read_bytes())["identity"]
        except (OSError, Unusable):
            return []
        return [name for name, value in self.identity.items() if found.get(name) != value]

    def load(self) -> Any:
        """The newest undamaged state, or None. Its rows are `rows()`; later ones are cut off.

        Anything unusable is removed, and `say` is told.
        """
        damage = []
        for path in (self.folder / LATEST, self.folder / PREVIOUS):
            if not path.exists():
                continue
            try:
                state = self._read(path)
            except Unusable as error:
                damage.append(f"{path.name} {error}")
                continue
            if damage:
                self.say(f"checkpoint {self.folder}: {damage[0]}, going on from {PREVIOUS}")
                (self.folder / LATEST).unlink()
            remove_unfinished(self.folder)
            for name, row in self._types.items():
                os.truncate(self.folder / name, self.saved[name] * row.itemsize)
            return state
        if damage:
            self.say(f"checkpoint {self.folder}: {', '.join(damage)}; starting afresh")
        self.remove()
        return None

    def rows(self, name: str = ROWS) -> Iterator[np.ndarray]:
        """The rows of the loaded state, or what another file holds, in pieces."""
        return _pieces(self.folder / name, self._types[name], self.saved[name])

    def remove(self) -> None:
        """Remove all checkpoints."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._forget()

    def _read(self, path: Path) -> Any:
        """The state of one generation, and what else belongs to it. Raises Unusable."""
        saved, digests = {}, {}
        try:
            content = unpack(path.read_bytes())
            found = content["identity"]
            other = [name for name, value in self.identity.items() if found.get(name) != value]
            if other:
                raise Unusable(f"is of other {' and '.join(other)}")
            for name, row in self._types.items():
                saved[name], digests[name] = content[name], hashlib.sha256()
                left = content[name] * row.itemsize
                with open(self.folder / name, "rb") as file:
                    while left and (data := file.read(min(left, 1 << 20))):
                        digests[name].update(data)
                        left -= len(data)
        except (OSError, LookupError) as error:
            raise Unusable(f"cannot be read ({error})") from error
        for name, digest in digests.items():
            if digest.hexdigest() != content[f"{name}_sha256"]:
                raise Unusable(f"needs rows that are damaged in {name}")
        self.saved, self._digests = saved, digests
        return content["state"]


def _pieces(path: Path, row: np.dtype, count: int) -> Iterator[np.ndarray]:
    """The first rows of a file."""
    piece = CHUNK if row != BYTES else 1 << 22
    with open(path, "rb") as file:
        for begin in range(0, count, piece):
            yield np.fromfile(file, row, min(piece, count - begin))


Rows = Callable[..., Iterator[np.ndarray]]


def last_saved(folder: Path) -> tuple[Any, Rows] | None:
    """The newest undamaged state in `folder`, and a function that gives its rows of a type, or what
    another file holds, by its name.

    Nothing is changed, so another process may be writing meanwhile. None without a state. Rows that
    are gone, as those of a run that finished, raise FileNotFoundError.
    """
    for name in (LATEST, PREVIOUS):
        try:
            content = unpack((folder / name).read_bytes())
            content[ROWS]
        except (OSError, Unusable):
            continue

        def rows(
            row: np.dtype = BYTES, name: str = ROWS, content: Mapping[str, Any] = content
        ) -> Iterator[np.ndarray]:
            return _pieces(folder / name, row, content[name])

        return content["state"], rows
    return None


class Interval:
    """Decides when to save, so that a kill costs at most `seconds` of work; 0: never.

    Ask it repeatedly. It expects the next wait to be as long as the longest so far, but at most
    half of the interval.
    """

    def __init__(self, seconds: float):
        self.seconds = seconds
        self._longest = 0.0
        self.restart()

    def restart(self) -> None:
        """Start counting again."""
        self._saved = self._asked = time.monotonic()

    def due(self) -> bool:
        now = time.monotonic()
        self._longest = max(self._longest, now - self._asked)
        self._asked = now
        ahead = min(self._longest, self.seconds / 2)
        return self.seconds > 0 and now - self._saved + ahead >= self.seconds
