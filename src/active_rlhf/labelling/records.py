"""What people said, as tables: from a run's queue, or from the record of a finished run."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from active_rlhf.files import atomic
from active_rlhf.labelling.queue import FILE, table

if TYPE_CHECKING:
    import pandas as pd

RECORD = "answers.csv"  # of a finished run

COLUMNS = (
    *("id", "query", "ticket", "session", "step", "purpose", "showing", "annotator", "answer"),
    *("mirrored", "seconds", "asked_at", "shown_at", "answered_at", "taken_at", "taken_step"),
    *("first_return", "second_return", "digest", "retired"),
)
"""A row for each answer, in the order of arrival; one withdrawn or changed later is among them.

`query` and `showing` tell what was asked and when it was shown to whom: the last row of a showing
is what its person says now. `retired` is 1 where another history of the run took the query's place.
`answer` is of the query's order, whichever side it stood on; times are Unix seconds, `seconds` from
the clips' appearance to the answer; `taken_at` and `taken_step` say when the run took the query's
answer, and are empty if it did not.
"""


def answers(folder: Path) -> list[dict[str, object]]:
    """The rows of all answers given to the run in `folder`: see COLUMNS. Raises QueueError."""
    return table(
        folder / FILE,
        "SELECT a.id, a.query, q.ticket, q.session, q.step, s.purpose, a.showing, a.annotator, "
        "a.answer, s.mirrored, a.seconds, q.asked_at, s.shown_at, a.answered_at, k.taken_at, "
        "t.step AS taken_step, q.first_return, q.second_return, q.digest, "
        "q.retired_at NOT NULL AS retired FROM answers a "
        "JOIN showings s ON s.id = a.showing JOIN queries q ON q.id = a.query "
        "LEFT JOIN taken t ON t.query = q.id AND s.purpose = 'query' "
        "LEFT JOIN takings k ON k.step = t.step ORDER BY a.number",
    )


def read(folder: Path) -> "pd.DataFrame":
    """The same as a table, from the queue or, where there is none, from `answers.csv`.

    Raises QueueError if there is neither.
    """
    import pandas as pd

    path = folder / RECORD
    if (folder / FILE).exists() or not path.exists():
        return pd.DataFrame(answers(folder), columns=list(COLUMNS))
    return pd.read_csv(path, dtype=dict.fromkeys(("id", "annotator", "digest", "showing"), str))


def write_csv(folder: Path, path: Path) -> None:
    """Write all answers given to the run in `folder` as CSV."""
    with atomic(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        rows.writeheader()
        rows.writerows(answers(folder))
