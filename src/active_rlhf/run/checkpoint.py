"""State that survives a kill: two generations of it, and a growing file of rows that both share.

A state is a tree of mappings and lists whose leaves are arrays and JSON values. A generation is one
file that begins with the SHA-256 of the rest, so that damage is noticed. Rows are written only
once, so a checkpoint of a long history costs only what is new.
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

LATEST, PREVIOUS, ROWS = "latest", "previous", "rows"
CHUNK = 1 << 16  # rows read at once
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
    say: called with one line about anything found that cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, str],
        row: np.dtype,
        say: Callable[[str], None],
    ):
        self.folder, self.row, self.say = folder, row, say
        self.identity = {"format": FORMAT, **identity}
        self.rows_saved = 0
        self._digest = hashlib.sha256()  # of these rows

    def save(self, state: Any, rows: Iterable[np.ndarray]) -> None:
        """Append `rows`, the ones after the first `rows_saved`, and make `state` the latest one.

        Raises OSError, for example if the disk is full; former generations are then unchanged.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        digest, count = self._digest.copy(), self.rows_saved
        handle = os.open(self.folder / ROWS, os.O_WRONLY | os.O_CREAT, 0o644)
        with open(handle, "wb") as file:
            file.seek(count * self.row.itemsize)
            for part in rows:
                data = np.ascontiguousarray(part).view(np.uint8).data
                file.write(data)
                digest.update(data)
                count += len(part)
            file.flush()
            os.fsync(handle)
        latest = self.folder / LATEST
        content = {"identity": self.identity, "rows": count, "rows_sha256": digest.hexdigest()}
        with atomic(latest) as temporary:
            temporary.write_bytes(pack(content | {"state": state}))
            if latest.exists():
                os.replace(latest, self.folder / PREVIOUS)
        self.rows_saved, self._digest = count, digest

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
            os.truncate(self.folder / ROWS, self.rows_saved * self.row.itemsize)
            return state
        if damage:
            self.say(f"checkpoint {self.folder}: {', '.join(damage)}; starting afresh")
        self.remove()
        return None

    def rows(self) -> Iterator[np.ndarray]:
        """The rows of the loaded state, in pieces."""
        with open(self.folder / ROWS, "rb") as file:
            for begin in range(0, self.rows_saved, CHUNK):
                yield np.fromfile(file, self.row, min(CHUNK, self.rows_saved - begin))

    def remove(self) -> None:
        """Remove all checkpoints."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.rows_saved, self._digest = 0, hashlib.sha256()

    def _read(self, path: Path) -> Any:
        """The state of one generation; its rows become the saved ones. Raises Unusable."""
        try:
            content = unpack(path.read_bytes())
            found = content["identity"]
            other = [name for name, value in self.identity.items() if found.get(name) != value]
            if other:
                raise Unusable(f"is of other {' and '.join(other)}")
            digest, left = hashlib.sha256(), content["rows"] * self.row.itemsize
            with open(self.folder / ROWS, "rb") as file:
                while left and (data := file.read(min(left, 1 << 20))):
                    digest.update(data)
                    left -= len(data)
        except OSError as error:
            raise Unusable(f"cannot be read ({error})") from error
        if digest.hexdigest() != content["rows_sha256"]:
            raise Unusable(f"needs rows that are damaged in {ROWS}")
        self.rows_saved, self._digest = content["rows"], digest
        return content["state"]


def last_saved(folder: Path) -> tuple[Any, Callable[[np.dtype], Iterator[np.ndarray]]] | None:
    """The newest undamaged state in `folder`, and a function that gives its rows of a type.

    Nothing is changed, so another process may be writing meanwhile. None without a state. Rows that
    are gone, as those of a run that finished, raise FileNotFoundError.
    """
    for name in (LATEST, PREVIOUS):
        try:
            content = unpack((folder / name).read_bytes())
            count = content["rows"]
        except (OSError, Unusable):
            continue

        def rows(row: np.dtype, count: int = count) -> Iterator[np.ndarray]:
            with open(folder / ROWS, "rb") as file:
                for begin in range(0, count, CHUNK):
                    yield np.fromfile(file, row, min(CHUNK, count - begin))

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
