"""What people are shown, and what they say: the people's end of a queue.

A showing is one query on one person's screen. Its lease keeps others from being asked the same
until it has run out; an answer that comes later still counts. Besides the queries there are
practice pairs at first, and among the queries some that test the person: gold pairs, whose true
returns are far apart, and pairs answered before, shown again as they were (`repeat`) or with left
and right exchanged (`mirror`).
"""

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from active_rlhf.labelling.queue import FILE, WITHDRAWN, Refused, connect, transaction

LEASE = 120.0  # seconds
APART = 8  # answers between a showing and its repetition
SIDES = ("left", "right", "equal", "skipped", WITHDRAWN)


@dataclass(frozen=True)
class Showing:
    """A query on a person's screen: `left` and `right` are the digests of films."""

    id: str
    purpose: str
    left: str
    right: str
    step: int


@dataclass(frozen=True)
class Given:
    """What a browser sends: an id of its own making, so that sending it again changes nothing.

    answer: one of SIDES, as the person saw it; seconds: from the clips' appearance to the answer.
    """

    id: str
    showing: str
    answer: str
    seconds: float | None = None


@dataclass(frozen=True)
class Recorded:
    """used: whether the run can still learn from it; better: for practice, which side has the
    larger true return, once it is answered."""

    used: bool
    better: str | None = None


class Desk:
    """The people's end of the queue in a run's directory. Threads may share it.

    clock: gives Unix seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time):
        self.folder = folder
        self._db, self._lock, self._clock = connect(folder / FILE), threading.RLock(), clock

    def close(self) -> None:
        self._db.close()

    def about(self) -> dict[str, Any]:
        """What the run says of itself: see `teachers.human`."""
        with self._lock:
            rows = self._db.execute("SELECT key, value FROM about")
            return {row["key"]: json.loads(row["value"]) for row in rows}

    def film(self, digest: str) -> bytes | None:
        """A film's content, None if there is none of this digest."""
        with self._lock:
            row = self._db.execute("SELECT content FROM films WHERE digest=?", (digest,)).fetchone()
        return row["content"] if row else None

    def progress(self) -> dict[str, int]:
        """How many queries were asked, are answered, and were taken by the run."""
        with self._lock:
            row = self._db.execute(
                "SELECT COUNT(*) AS asked, "
                "COALESCE(SUM(id IN (SELECT query FROM current WHERE purpose='query')), 0) "
                "AS answered, COALESCE(SUM(id IN (SELECT query FROM taken)), 0) AS taken "
                "FROM queries WHERE purpose='query' AND retired_at IS NULL"
            ).fetchone()
        return dict(row)

    def next(
        self, annotator: str, count: int, practised: bool = False, lease: float = LEASE
    ) -> list[Showing]:
        """Up to `count` showings for a person, each leased for `lease` seconds from now.

        First those on their screen that are not answered yet, then new ones. practised: leave out
        the practice round. Empty if there is nothing for them to answer now.
        """
        now = self._clock()
        with self._lock, transaction(self._db):
            found = self._open(annotator, count)
            self._renew(found, now + lease)
            about = self.about()
            while len(found) < count:
                chosen = self._choose(annotator, about, practised, now)
                if chosen is None:
                    break
                query, purpose, mirrored = chosen
                one = secrets.token_hex(16)
                self._db.execute(
                    "INSERT INTO showings VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (one, query["id"], annotator, purpose, mirrored, now, now + lease),
                )
                found.append({**query, "id": one, "purpose": purpose, "mirrored": mirrored})
        return [_showing(row) for row in found]

    def held(self, annotator: str, lease: float = LEASE) -> list[Showing]:
        """What `next` gave a person and they have not answered yet, leased for longer."""
        now = self._clock()
        with self._lock:
            found = self._open(annotator, -1)
            if any(row["until"] < now + lease / 2 for row in found):
                with transaction(self._db):
                    self._renew(found, now + lease)
        return [_showing(row) for row in found]

    def practised(self, annotator: str) -> bool:
        """Whether a person was shown as many practice pairs as there should be."""
        with self._lock:
            row = self._one(
                "SELECT COUNT(*) AS n FROM showings WHERE annotator=? AND purpose='practice'",
                annotator,
            )
            return bool(row and row["n"] >= self.about().get("practice", 0))

    def oldest(self) -> float | None:
        """When the oldest query was asked that needs another answer, None if none does."""
        row = self._one(
            "SELECT MIN(asked_at) AS at FROM queries q WHERE purpose='query' "
            "AND retired_at IS NULL AND id NOT IN (SELECT query FROM taken) "
            "AND wanted > (SELECT COUNT(DISTINCT annotator) FROM current "
            "WHERE query = q.id AND purpose='query')"
        )
        return row["at"] if row else None

    def _renew(self, found: Iterable[Mapping[str, Any]], until: float) -> None:
        self._db.executemany(
            "UPDATE showings SET until=? WHERE id=?", [(until, row["id"]) for row in found]
        )

    def _open(self, annotator: str, count: int) -> list[dict[str, Any]]:
        """What is on a person's screen and of use: neither retired, nor taken, nor done by
        others in the meantime."""
        rows = self._db.execute(
            "SELECT s.id, s.purpose, s.mirrored, s.until, q.first, q.second, q.step "
            "FROM showings s JOIN queries q ON q.id = s.query "
            "WHERE s.annotator=? AND q.retired_at IS NULL AND s.query NOT IN "
            "(SELECT query FROM taken WHERE s.purpose='query') "
            "AND s.id NOT IN (SELECT showing FROM current) "
            "AND (s.purpose <> 'query' OR q.wanted > (SELECT COUNT(DISTINCT c.annotator) "
            "     FROM current c WHERE c.query = q.id AND c.purpose='query')) "
            "ORDER BY s.rowid LIMIT ?",
            (annotator, count),
        )
        return [dict(row) for row in rows]

    def _choose(
        self, annotator: str, about: Mapping[str, Any], practised: bool, now: float
    ) -> tuple[dict[str, Any], str, int] | None:
        """A query for a person, what for, and whether its sides are exchanged."""
        side = secrets.randbelow(2)
        shown = {
            row["purpose"]: row["n"]
            for row in self._db.execute(
                "SELECT purpose, COUNT(*) AS n FROM showings WHERE annotator=? GROUP BY purpose",
                (annotator,),
            )
        }
        asked, checks = shown.get("query", 0), about.get("checks", {})
        due = {name: int(share * asked) for name, share in checks.items()}
        due["practice"] = 0 if practised else about.get("practice", 0)
        for purpose in ("practice", "gold", "repeat", "mirror"):
            if shown.get(purpose, 0) >= due.get(purpose, 0):
                continue
            if purpose in ("practice", "gold"):
                if pair := self._never_shown(purpose, annotator):
                    return pair, purpose, side
            elif again := self._answered_before(annotator):
                return again, purpose, int(again["mirrored"] ^ (purpose == "mirror"))
        query = self._unanswered(annotator, now)
        return (query, "query", side) if query else None

    def _never_shown(self, purpose: str, annotator: str) -> dict[str, Any] | None:
        return self._one(
            "SELECT * FROM queries q WHERE purpose=? AND retired_at IS NULL AND NOT EXISTS "
            "(SELECT 1 FROM showings WHERE query = q.id AND annotator=?) ORDER BY id LIMIT 1",
            purpose,
            annotator,
        )

    def _answered_before(self, annotator: str) -> dict[str, Any] | None:
        """A query they answered at least APART answers ago, and that was not shown again."""
        return self._one(
            "SELECT q.*, c.mirrored FROM current c JOIN queries q ON q.id = c.query "
            "WHERE c.annotator=? AND c.purpose='query' AND NOT EXISTS (SELECT 1 FROM showings s "
            "WHERE s.query = q.id AND s.annotator = c.annotator AND s.purpose <> 'query') "
            "AND (SELECT COUNT(*) FROM current WHERE annotator = c.annotator "
            "     AND number > c.number) >= ? ORDER BY c.number LIMIT 1",
            annotator,
            APART,
        )

    def _unanswered(self, annotator: str, now: float) -> dict[str, Any] | None:
        """The oldest query that needs one more person, with those who are at it counted."""
        return self._one(
            "SELECT q.* FROM queries q WHERE q.purpose='query' AND q.retired_at IS NULL "
            "AND q.id NOT IN (SELECT query FROM taken) AND NOT EXISTS (SELECT 1 FROM showings s "
            "WHERE s.query = q.id AND s.annotator=? AND s.purpose='query') "
            "AND q.wanted > (SELECT COUNT(DISTINCT s.annotator) FROM showings s "
            "WHERE s.query = q.id AND s.purpose='query' "
            "AND (s.until > ? OR s.id IN (SELECT showing FROM current))) "
            "ORDER BY q.ticket LIMIT 1",
            annotator,
            now,
        )

    def _one(self, query: str, *values: Any) -> dict[str, Any] | None:
        with self._lock:
            row = self._db.execute(query, values).fetchone()
        return dict(row) if row else None

    def record(self, annotator: str, given: Sequence[Given]) -> list[Recorded | Refused]:
        """Commit what a person said, all at once, and then say what became of each.

        An answer is refused if it does not belong to a showing of theirs, if its id was used for
        something else, or if it changes or withdraws one that the run has taken.
        """
        return self.record_all([(annotator, one) for one in given])

    def record_all(self, given: Iterable[tuple[str, Given]]) -> list[Recorded | Refused]:
        """`record` for several people, in one transaction."""
        said: list[Recorded | Refused] = []
        with self._lock, transaction(self._db):
            for annotator, one in given:
                try:
                    said.append(self._record(annotator, one))
                except Refused as refused:
                    said.append(refused)
        return said

    def _record(self, annotator: str, given: Given) -> Recorded:
        showing = self._one(
            "SELECT s.*, q.retired_at, q.first_return, q.second_return, "
            "q.id IN (SELECT query FROM taken) AS taken, "
            "s.id IN (SELECT showing FROM current) AS answered "
            "FROM showings s JOIN queries q ON q.id = s.query WHERE s.id=? AND s.annotator=?",
            given.showing,
            annotator,
        )
        if showing is None:
            raise Refused(f"{annotator} was shown nothing of the id {given.showing}")
        if given.answer not in SIDES:
            raise Refused(f"an answer is one of {', '.join(SIDES)}, not {given.answer!r}")
        answer = _seen_from(given.answer, bool(showing["mirrored"]))
        known = self._one("SELECT showing, answer FROM answers WHERE id=?", given.id)
        if known and (known["showing"], known["answer"]) != (given.showing, answer):
            raise Refused(f"the id {given.id} belongs to another answer")
        counts = showing["purpose"] == "query"
        if not known:
            if counts and showing["taken"] and (showing["answered"] or answer == WITHDRAWN):
                raise Refused("the run has learned from this answer; it cannot be changed now")
            if answer == WITHDRAWN and not showing["answered"]:
                raise Refused("there is no answer to withdraw")
            self._db.execute(
                "INSERT INTO answers VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(given.id, given.showing, showing["query"], annotator),
                    *(answer, given.seconds, self._clock()),
                ),
            )
        used = counts and not showing["taken"] and showing["retired_at"] is None
        return Recorded(used, _better(showing) if showing["purpose"] == "practice" else None)


def _seen_from(answer: str, mirrored: bool) -> str:
    """An answer about left and right as one about the first and second segment, if it is one."""
    sides = ("second", "first") if mirrored else ("first", "second")
    return dict(zip(("left", "right"), sides, strict=True)).get(answer, answer)


def _showing(row: Mapping[str, Any]) -> Showing:
    films = (row["second"], row["first"]) if row["mirrored"] else (row["first"], row["second"])
    return Showing(row["id"], row["purpose"], *films, step=row["step"])


def _better(showing: Mapping[str, Any]) -> str:
    first, second = showing["first_return"], showing["second_return"]
    if first == second:
        return "equal"
    return "right" if (second > first) != bool(showing["mirrored"]) else "left"
