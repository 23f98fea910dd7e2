"""A run's labels as data: read from runs, `labels.npz`, JSONL and CSV, and written as any of these.

JSONL and CSV have a row for each query (see ROW) and hold every number exactly. Rows of pairs that
people answered and that are not in the run's ledger, which teach it nothing, are among them.
"""

import csv
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from active_rlhf.behaviour.ledger import COLUMNS
from active_rlhf.behaviour.stacks import Pictures, for_file, from_file
from active_rlhf.errors import InputError, line
from active_rlhf.files import atomic, method_name
from active_rlhf.labelling.queue import FILE, digest_of

LABELS = "labels.npz"
ANSWER = {1.0: "first", 0.0: "second", 0.5: "equal"}
PREFERENCE = {answer: preference for preference, answer in ANSWER.items()}
SEGMENTS = ("observations", "actions")
FURTHER = "further"  # the key of a run's first row that holds its further arrays
ARRAYS = ("budget", *COLUMNS, *SEGMENTS, "returns")  # of a labels.npz, in its order
RUN = ("environment", "method", "seed")
ROW = (
    *(*RUN, "budget", "purpose", "ticket", "session", "step", "first", "second", "digest"),
    *("first_return", "second_return", "held_out", "answer", "confidence", "answered_at", "people"),
)
"""The keys of a row.

purpose: `query`, or `gold`, `practice` and `retired` of pairs that are not in the ledger; step:
environment steps when it was asked; first, second: ids of the segments; answer: the one the run
used, null while pending; answered_at: the steps by which it had it, -1 while pending; people: what
people said, in the order of arrival, by PERSON.
"""
TEXT = ("environment", "method", "purpose", "digest", "answer")  # the others are JSON in a CSV
PERSON = (
    *("id", "annotator", "answer", "purpose", "mirrored", "seconds", "asked_at", "shown_at"),
    *("answered_at", "taken_at", "taken_step", "showing"),
)


@dataclass(frozen=True)
class Labels:
    """The n queries of a run.

    run: its environment, method and seed; columns: the arrays of its `labels.npz` by name, which
    may lack those of SEGMENTS; steps int64 [n]: environment steps when they were asked, -1 where
    unknown; digests: of the pairs (`queue.digest_of`); people: what people said of each, as
    mappings by PERSON; others: rows of further pairs.
    """

    run: tuple[str, str, int]
    columns: Mapping[str, Any]
    steps: np.ndarray
    digests: Sequence[str]
    people: Sequence[Sequence[Mapping[str, Any]]]
    others: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    def __len__(self) -> int:
        return len(self.digests)

    @property
    def name(self) -> str:
        """`<environment> <method> seed <seed>`."""
        return "{} {} seed {}".format(*self.run)

    @property
    def further(self) -> list[str]:
        """The arrays that are not of one query each: what repeats the episodes of segments."""
        return [name for name in self.columns if name not in ARRAYS]

    @property
    def has_segments(self) -> bool:
        """Whether what people were shown is there."""
        return all(name in self.columns for name in SEGMENTS)


# --- reading -------------------------------------------------------------------------------------


def read(path: Path) -> list[Labels]:
    """The labels in a file (.npz, .jsonl, .csv), or of a finished run's directory.

    Raises InputError for anything else, with the line of a row that is wrong.
    """
    if path.is_dir():
        path = path / LABELS
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    readers = {".npz": _of_npz, ".jsonl": _of_jsonl, ".csv": _of_csv}
    if path.suffix not in readers:
        raise InputError(
            f"{path}: labels are in .npz, .jsonl or .csv, not in {path.suffix or path}"
        )
    try:
        return readers[path.suffix](path)
    except InputError:
        raise
    except (OSError, ValueError, LookupError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not labels ({type(error).__name__}: {line(error)})") from error


def _of_npz(path: Path) -> list[Labels]:
    """A run's `labels.npz`, with what the files beside it tell: its spec, and people's answers."""
    with np.load(path, allow_pickle=False) as file:
        columns = from_file(file)
    if not {"pairs", "observations", "actions", "answered_at"} <= columns.keys():
        raise InputError(f"{path}: has no segments, or no times of answers: not a run's labels")
    pairs = zip(columns["observations"], columns["actions"], strict=True)
    digests = [digest_of(*pair) for pair in pairs]
    run, steps, folder = ("", "", 0), np.full(len(digests), -1), path.parent
    if (folder / "run.json").exists():
        spec = json.loads((folder / "run.json").read_text(encoding="utf-8"))["spec"]
        method = method_name(spec["selector"], spec.get("variant"))
        run = spec["environment"], method, spec["seed"]
    if (folder / "sessions.csv").exists():
        with open(folder / "sessions.csv", newline="", encoding="utf-8") as sessions:
            asked = {
                int(row["session"]): int(row["step"])
                for row in csv.DictReader(sessions)
                if int(row["asked"])
            }
        steps = np.array([asked.get(int(session), -1) for session in columns["sessions"]])
    people, others = _people(folder, run, len(digests))
    return [Labels(run, columns, steps.astype(np.int64), digests, people, others)]


def _people(
    folder: Path, run: tuple[str, str, int], count: int
) -> tuple[list[list[dict[str, Any]]], list[dict[str, Any]]]:
    """What people said of each of a run's queries, and the rows of pairs that are not in its
    ledger."""
    from active_rlhf.labelling import records

    people: list[list[dict[str, Any]]] = [[] for _ in range(count)]
    others: dict[int, dict[str, Any]] = {}
    if not any((folder / name).exists() for name in (records.RECORD, FILE)):
        return people, []
    for row in records.read(folder).astype(object).to_dict("records"):
        said = {key: _plain(row[key], key) for key in PERSON}
        purpose = row["purpose"] if row["purpose"] in ("gold", "practice") else "query"
        if purpose == "query" and not row["retired"]:
            people[int(row["ticket"])].append(said)
            continue
        purpose = "retired" if row["retired"] else purpose
        other = others.setdefault(
            row["query"],
            dict.fromkeys(ROW) | dict(zip(RUN, run, strict=True)) | {"purpose": purpose},
        )
        for key in ("session", "step", "digest", "first_return", "second_return"):
            other[key] = _plain(row[key], key)
        other["people"] = [*(other["people"] or []), said]
    return people, list(others.values())


WHOLE = {"mirrored", "taken_step", "session", "step"}


def _plain(value: Any, key: str) -> Any:
    if value is None or value != value:
        return None
    return int(value) if key in WHOLE else value if isinstance(value, str) else float(value)


def _of_jsonl(path: Path) -> list[Labels]:
    rows = []
    with open(path, encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            try:
                row = json.loads(text)
                missing = [key for key in ROW if key not in row]
            except (ValueError, TypeError) as error:
                raise InputError(f"{path}:{number}: not a row of labels ({line(error)})") from error
            if missing:
                raise InputError(f"{path}:{number}: {missing[0]}: missing")
            rows.append(row)
    return _of_rows(rows, path)


def _of_csv(path: Path) -> list[Labels]:
    with open(path, newline="", encoding="utf-8") as file:
        lines = csv.DictReader(file)
        if missing := [key for key in ROW if key not in (lines.fieldnames or ())]:
            raise InputError(f"{path}:1: {missing[0]}: missing")
        rows = [{key: _value(key, row[key]) for key in ROW} for row in lines]
    beside = _beside(path)
    if not beside.exists():
        return _of_rows(rows, path)
    with np.load(beside, allow_pickle=False) as arrays:
        shown = from_file(arrays)
    return _of_rows(rows, path, shown)


def _value(key: str, text: str) -> Any:
    """What a cell of a CSV holds."""
    if key in TEXT:
        return text or ("" if key in RUN else None)
    return json.loads(text) if text else None


def _cell(key: str, value: Any) -> str:
    return value or "" if key in TEXT else "" if value is None else json.dumps(value)


def _beside(path: Path) -> Path:
    """Where the segments of a CSV are."""
    return path.with_suffix(".segments.npz")


def _of_rows(
    rows: Iterable[Mapping[str, Any]],
    path: Path,
    segments: Mapping[str, Any] | None = None,
) -> list[Labels]:
    by_run: dict[tuple[str, str, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        by_run.setdefault((row["environment"], row["method"], row["seed"]), []).append(row)
    found = []
    for run, own in by_run.items():
        asked = [row for row in own if row["purpose"] == "query"]
        if [row["ticket"] for row in asked] != list(range(len(asked))):
            raise InputError(f"{path}: the queries of {run} are not numbered from 0 by `ticket`")
        others = [row for row in own if row["purpose"] != "query"]
        columns = _columns(asked) | _shown(asked)
        begin = "/".join(map(str, run)) + "/"
        columns |= {
            key.removeprefix(begin): array
            for key, array in (segments or {}).items()
            if key.startswith(begin)
        }
        further = [name for name in columns if name not in ARRAYS]
        names = ("budget", *COLUMNS, *further, *SEGMENTS, "returns")
        ordered = {name: columns[name] for name in names if name in columns}
        steps = np.array([row["step"] for row in asked], np.int64)
        digests, people = ([row[key] for row in asked] for key in ("digest", "people"))
        found.append(Labels(run, ordered, steps, digests, people, others))
    return found


FIRST = (*("budget", "pairs", "preferences", "confidences", "sessions", "held_out", "answered_at"),)


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """The arrays of a `labels.npz`, but for the segments."""

    def number(value: float | None) -> float:
        return nan if value is None else value

    return {
        "budget": np.int64(rows[0]["budget"] if rows else 0),  # type: ignore[dict-item]
        "pairs": np.array([(r["first"], r["second"]) for r in rows], np.int64).reshape(-1, 2),
        "preferences": np.array([PREFERENCE.get(r["answer"], nan) for r in rows], np.float64),
        "confidences": np.array([number(r["confidence"]) for r in rows], np.float64),
        "sessions": np.array([r["session"] for r in rows], np.int64),
        "held_out": np.array([r["held_out"] for r in rows], bool),
        "answered_at": np.array([r["answered_at"] for r in rows], np.int64),
        "returns": np.array(
            [(number(r["first_return"]), number(r["second_return"])) for r in rows], np.float64
        ).reshape(-1, 2),
    }


def _shown(rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    if not rows or not all("observations" in row for row in rows):
        return {}
    shown = {
        name: np.array([row[name]["values"] for row in rows], rows[0][name]["dtype"])
        for name in SEGMENTS
    }
    further = rows[0].get(FURTHER, {})
    return shown | {name: np.array(a["values"], a["dtype"]) for name, a in further.items()}


# --- writing -------------------------------------------------------------------------------------


def write(labels: Sequence[Labels], path: Path, segments: bool = False) -> None:
    """Write labels as .jsonl, as .csv (its segments are beside it, in `.segments.npz`), or, of one
    run, as .npz like the run's own.

    segments: with what people were shown; a .npz always has it. Raises InputError if it is not
    there.
    """
    if (segments or path.suffix == ".npz") and not all(own.has_segments for own in labels):
        raise InputError(f"{path}: needs segments, which these labels lack: export with --segments")
    if path.suffix == ".npz":
        if len(labels) != 1:
            raise InputError(f"{path}: holds one run's labels, not those of {len(labels)} runs")
        with atomic(path) as temporary:
            np.savez(temporary, **for_file(labels[0].columns))  # type: ignore[arg-type]
    elif path.suffix == ".jsonl":
        if segments and any(isinstance(own.columns["observations"], Pictures) for own in labels):
            raise InputError(f"{path}: pictures do not fit into .jsonl; write .csv or .npz")
        with atomic(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            for own in labels:
                for row in rows_of(own, segments):
                    file.write(json.dumps(row) + "\n")
    elif path.suffix == ".csv":
        if segments:
            with atomic(_beside(path)) as temporary:
                shown: dict[str, Any] = {
                    "/".join(map(str, (*own.run, name))): own.columns[name]
                    for own in labels
                    for name in (*SEGMENTS, *own.further)
                }
                np.savez(temporary, **for_file(shown))  # type: ignore[arg-type]
        with atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(ROW)
            for own in labels:
                for row in rows_of(own):
                    table.writerow(_cell(key, row[key]) for key in ROW)
    else:
        raise InputError(f"{path}: must end in .npz, .jsonl or .csv")


def _coded(array: np.ndarray, *place: int) -> dict[str, Any]:
    """An array, or the part of it at a place, as JSON."""
    return {"dtype": array.dtype.str, "values": array[place].tolist()}


def rows_of(labels: Labels, segments: bool = False) -> Iterator[dict[str, Any]]:
    """A mapping by ROW for each query, with `observations` and `actions` if asked for."""
    small = [name for name in ARRAYS if name in labels.columns and name not in SEGMENTS]
    columns = {name: labels.columns[name].tolist() for name in small}
    run = dict(zip(RUN, labels.run, strict=True)) | {"budget": columns["budget"]}
    for i, (digest, people) in enumerate(zip(labels.digests, labels.people, strict=True)):
        own = {name: column[i] for name, column in columns.items() if name != "budget"}
        pending = own["answered_at"] < 0
        returns = own.get("returns", (nan, nan))
        row = run | {
            "purpose": "query",
            "ticket": i,
            "session": own["sessions"],
            "step": int(labels.steps[i]),
            "first": own["pairs"][0],
            "second": own["pairs"][1],
            "digest": digest,
            "first_return": _plain(returns[0], ""),
            "second_return": _plain(returns[1], ""),
            "held_out": own["held_out"],
            "answer": None if pending else ANSWER.get(own["preferences"], "skipped"),
            "confidence": _plain(own["confidences"], ""),
            "answered_at": own["answered_at"],
            "people": people,
        }
        if segments:
            row |= {name: _coded(labels.columns[name], i) for name in SEGMENTS}
            further = {name: _coded(labels.columns[name]) for name in labels.further}
            row |= {FURTHER: further} if further and i == 0 else {}
        yield row
    yield from map(dict, labels.others)
