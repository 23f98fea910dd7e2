"""The queue between a run and the people who answer it: one SQLite file in the run's directory.

The run asks queries and takes answers; the server shows queries to people and records what they
say. Answers are only ever added: changing one's mind adds a row, and so does withdrawing. What the
run takes is recorded before it learns from it, step by step, so a run that is killed and goes on
from a checkpoint gets the same answers at the same steps, and asks nothing twice.

The file is in WAL mode with `synchronous=FULL`: what was committed survives a power cut. WAL needs
shared memory, so the run and the server must be on one machine.
"""

import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from active_rlhf.errors import InputError

FILE = "queue.sqlite"
FORMAT = 1  # of the file; others are refused
ANSWERS = ("first", "second", "equal", "skipped")
WITHDRAWN = "withdrawn"

_SCHEMA = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE films (digest TEXT PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE queries (
    id INTEGER PRIMARY KEY,
    purpose TEXT NOT NULL,          -- query, gold or practice
    ticket INTEGER,                 -- the ledger's, for a query
    session INTEGER NOT NULL,
    step INTEGER NOT NULL,          -- environment steps when it was asked
    digest TEXT NOT NULL,           -- of what both segments show
    first TEXT NOT NULL REFERENCES films,
    second TEXT NOT NULL REFERENCES films,
    first_return REAL NOT NULL,
    second_return REAL NOT NULL,
    wanted INTEGER NOT NULL,        -- people who should answer it
    asked_at REAL NOT NULL,         -- Unix seconds, as all times
    retired_at REAL                 -- when another history of the run took its place
);
CREATE UNIQUE INDEX live ON queries (purpose, ticket) WHERE retired_at IS NULL AND ticket NOT NULL;
CREATE TABLE showings (
    id TEXT PRIMARY KEY,
    query INTEGER NOT NULL REFERENCES queries,
    annotator TEXT NOT NULL,
    purpose TEXT NOT NULL,          -- query, gold, practice, repeat or mirror
    mirrored INTEGER NOT NULL,      -- whether the second segment is on the left
    shown_at REAL NOT NULL,
    until REAL NOT NULL             -- the lease: nobody else is asked before
);
CREATE INDEX showings_of ON showings (query, annotator);
CREATE TABLE answers (
    number INTEGER PRIMARY KEY,     -- in the order of arrival
    id TEXT NOT NULL UNIQUE,        -- made in the browser
    showing TEXT NOT NULL REFERENCES showings,
    query INTEGER NOT NULL REFERENCES queries,
    annotator TEXT NOT NULL,
    answer TEXT NOT NULL,           -- first, second, equal, skipped or withdrawn
    seconds REAL,                   -- from the clips' appearance to the answer
    answered_at REAL NOT NULL
);
CREATE INDEX answers_to ON answers (query);
CREATE INDEX answers_of ON answers (showing);
CREATE TABLE takings (step INTEGER PRIMARY KEY, taken_at REAL NOT NULL);
CREATE TABLE taken (
    query INTEGER PRIMARY KEY REFERENCES queries,
    step INTEGER NOT NULL REFERENCES takings,
    preference REAL,                -- 1 first, 0 second, 0.5 equal; null: skipped
    confidence REAL NOT NULL
);
CREATE VIEW current AS              -- what each showing's person says now
    SELECT a.*, s.purpose, s.mirrored, s.shown_at FROM answers a JOIN showings s ON s.id = a.showing
    WHERE a.number = (SELECT MAX(number) FROM answers WHERE showing = a.showing)
    AND a.answer <> 'withdrawn';
"""


class QueueError(InputError):
    """What was asked of a queue cannot be done; the message says why."""


class Refused(QueueError):
    """An answer came too late, or does not belong to what was shown."""


@dataclass(frozen=True)
class Film:
    """What shows one segment: `digest` names its `content`."""

    digest: str
    content: bytes

    @classmethod
    def of(cls, content: bytes) -> "Film":
        """With the digest of this content."""
        return cls(hashlib.sha256(content).hexdigest(), content)


@dataclass(frozen=True)
class Asked:
    """A pair that people are asked about.

    digest: of what both segments show; returns: their true returns, which nobody is shown before
    answering; wanted: the people who should answer it.
    """

    digest: str
    films: tuple[Film, Film]
    returns: tuple[float, float]
    wanted: int = 1


def digest_of(observations: np.ndarray, actions: np.ndarray) -> str:
    """What tells a pair from others: the SHA-256 of what its segments show."""
    parts = (np.ascontiguousarray(part).tobytes() for part in (observations, actions))
    return hashlib.sha256(b"".join(parts)).hexdigest()


@dataclass(frozen=True)
class Taken:
    """An answer as a run uses it: preference 1, 0, 0.5 or nan (skipped), confidence in 0..1."""

    ticket: int
    preference: float
    confidence: float


@dataclass(frozen=True)
class Said:
    """What one person says about a query now; answer is one of ANSWERS."""

    annotator: str
    answer: str


Combine = Callable[[Mapping[int, Sequence[Said]]], Mapping[int, tuple[float, float]]]
"""From what people say about each query, in the order of their first answers to it, to
(preference, confidence)."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection to an existing queue, which several threads may use one after another.

    Raises QueueError if it is not one.
    """
    if not path.is_file():
        raise QueueError(f"{path}: no such queue; a run whose teacher is human makes one")
    connection = _open(path)
    try:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise QueueError(f"{path}: not a queue of queries ({error})") from error
    if found != FORMAT:
        raise QueueError(f"{path}: a queue of format {found}; this version reads {FORMAT}")
    return connection


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=60, check_same_thread=False, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, and nobody else writes meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has ended it already
            connection.execute("ROLLBACK")
        raise


class RunsEnd:
    """The run's end of its queue, in its directory.

    about: what the page says about the run; its `spec`, if any, tells runs apart: one of another
    spec takes nothing that was taken before, and asks anew, of which what people answered already
    is answered.
    """

    def __init__(self, folder: Path, about: Mapping[str, str]):
        self.path = folder / FILE
        self._db = connect(self.path) if self._exists() else self._create()
        with transaction(self._db):
            known = dict(map(tuple, self._db.execute("SELECT key, value FROM about")))
            if known.get("spec") != about.get("spec"):
                self._retire(0, -1)
            self._db.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", about.items())

    def _exists(self) -> bool:
        """Whether there is a queue. One that was not finished being made holds nothing."""
        if not self.path.exists():
            return False
        with closing(_open(self.path)) as db:
            try:
                return bool(db.execute("PRAGMA user_version").fetchone()[0])
            except sqlite3.DatabaseError as error:
                raise QueueError(f"{self.path}: not a queue of queries ({error})") from error

    def _create(self) -> sqlite3.Connection:
        db = _open(self.path)
        db.execute("PRAGMA journal_mode=WAL")
        with transaction(db):
            for statement in _SCHEMA.split(";\n"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version={FORMAT}")
        return db

    def close(self) -> None:
        self._db.close()

    def ask(self, asked: Mapping[int, Asked], session: int, step: int) -> None:
        """Put queries to people, by ticket.

        Those that an earlier process of this run asked are left as they are. Where that one asked
        something else, its queries from there on are retired: their answers are kept, and count
        when the same is asked again.
        """
        with transaction(self._db):
            live = "FROM queries WHERE purpose='query' AND retired_at IS NULL"
            known = dict(map(tuple, self._db.execute(f"SELECT ticket, digest {live}")))
            other = [t for t, query in asked.items() if t in known and known[t] != query.digest]
            if other:
                self._retire(min(other), step)
                known = {ticket: digest for ticket, digest in known.items() if ticket < min(other)}
            for ticket, query in asked.items():
                if ticket not in known:
                    self._add("query", ticket, query, session, step)

    def offer(self, purpose: str, pairs: Iterable[Asked], session: int, step: int) -> None:
        """Add pairs whose answers teach the run nothing: `practice`, or `gold` to test people."""
        with transaction(self._db):
            for pair in pairs:
                found = self._db.execute(
                    "SELECT 1 FROM queries WHERE purpose=? AND digest=? AND retired_at IS NULL",
                    (purpose, pair.digest),
                )
                if not found.fetchone():
                    self._add(purpose, None, pair, session, step)

    def _add(self, purpose: str, ticket: int | None, query: Asked, session: int, step: int) -> None:
        """Add a query, or take up a retired one that shows the same."""
        found = self._db.execute(
            "UPDATE queries SET retired_at=NULL, ticket=?, session=?, step=?, wanted=? WHERE id="
            "(SELECT MAX(id) FROM queries WHERE purpose=? AND digest=? AND retired_at NOT NULL)",
            (ticket, session, step, query.wanted, purpose, query.digest),
        )
        if found.rowcount:
            return
        for film in query.films:
            self._db.execute(
                "INSERT OR IGNORE INTO films VALUES (?, ?)", (film.digest, film.content)
            )
        first, second = query.films
        self._db.execute(
            "INSERT INTO queries VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (
                *(purpose, ticket, session, step, query.digest, first.digest, second.digest),
                *(*query.returns, query.wanted, time.time()),
            ),
        )

    def _retire(self, ticket: int, step: int) -> None:
        """Retire the queries from a ticket on, asked at a step, and forget what was taken since."""
        self._db.execute(
            "UPDATE queries SET retired_at=? "
            "WHERE retired_at IS NULL AND (ticket >= ? OR (purpose <> 'query' AND step > ?))",
            (time.time(), ticket, step),
        )
        self._db.execute("DELETE FROM taken WHERE step >= ?", (step,))
        self._db.execute("DELETE FROM takings WHERE step >= ?", (step,))

    def answered(self, tickets: Sequence[int]) -> int:
        """How many of these queries as many people answered as should."""
        return sum(1 for ticket in self._complete() if ticket in set(tickets))

    def _complete(self) -> list[int]:
        """The tickets that are answered by as many as should, and not taken yet."""
        rows = self._db.execute(
            "SELECT q.ticket FROM queries q JOIN current c ON c.query = q.id AND c.purpose='query' "
            "WHERE q.purpose='query' AND q.retired_at IS NULL "
            "AND q.id NOT IN (SELECT query FROM taken) "
            "GROUP BY q.id HAVING COUNT(DISTINCT c.annotator) >= q.wanted"
        )
        return [row["ticket"] for row in rows]

    def waiting(self) -> int:
        """How many answered queries could be taken now."""
        return len(self._complete())

    def taken_at(self, step: int) -> bool | None:
        """Whether an earlier process took answers at this step; None if it did not get so far."""
        last, asked = self._db.execute(
            "SELECT (SELECT MAX(step) FROM takings), (SELECT MAX(step) FROM queries "
            "WHERE purpose='query' AND retired_at IS NULL)"
        ).fetchone()
        if (last is None or last < step) and (asked is None or asked <= step):
            return None
        found = self._db.execute("SELECT 1 FROM takings WHERE step=?", (step,)).fetchone()
        return found is not None

    def take(self, step: int, combine: Combine, partly: bool = False) -> list[Taken]:
        """The answers that the run gets at this step: those taken then by an earlier process, or
        else all there are now, after which people cannot change them.

        partly: also of queries that fewer people answered than should.
        """
        with transaction(self._db):
            if self.taken_at(step) is None:
                self._take(step, combine, partly)
        rows = self._db.execute(
            "SELECT q.ticket, t.preference, t.confidence FROM taken t "
            "JOIN queries q ON q.id = t.query WHERE t.step=? ORDER BY q.ticket",
            (step,),
        )
        return [
            Taken(ticket, float("nan") if preference is None else preference, confidence)
            for ticket, preference, confidence in rows
        ]

    def _take(self, step: int, combine: Combine, partly: bool) -> None:
        said: dict[int, list[Said]] = {}
        wanted, taken = {}, set()
        for row in self._db.execute(
            "SELECT q.id, q.wanted, c.annotator, c.answer, t.query IS NOT NULL AS taken "
            "FROM queries q JOIN current c ON c.query = q.id AND c.purpose='query' "
            "LEFT JOIN taken t ON t.query = q.id "
            "WHERE q.purpose='query' AND q.retired_at IS NULL "
            "ORDER BY (SELECT MIN(number) FROM answers WHERE showing = c.showing)"
        ):
            people = said.setdefault(row["id"], [])
            if row["annotator"] not in {one.annotator for one in people}:
                people.append(Said(row["annotator"], row["answer"]))
            wanted[row["id"]] = row["wanted"]
            if row["taken"]:
                taken.add(row["id"])
        ready = [q for q in said if q not in taken and (partly or len(said[q]) >= wanted[q])]
        combined = combine(said) if ready else {}
        self._db.execute("INSERT INTO takings VALUES (?, ?)", (step, time.time()))
        self._db.executemany(
            "INSERT INTO taken VALUES (?, ?, ?, ?)",
            [(query, step, *_stored(*combined[query])) for query in ready],
        )


def _stored(preference: float, confidence: float) -> tuple[float | None, float]:
    return (None if preference != preference else float(preference), float(confidence))


def table(path: Path, query: str, *values: Any) -> list[dict[str, Any]]:
    """The rows of a SELECT over a queue, as mappings. Raises QueueError if it is not a queue."""
    with closing(connect(path)) as db:
        return [dict(row) for row in db.execute(query, values)]
