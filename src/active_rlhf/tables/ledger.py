"""What was asked, answered and learned from."""

import pandas as pd

from active_rlhf.analysis.wording import Terms, excluded_runs, seeds, teacher_and_budget
from active_rlhf.tables.cells import Table, numbers, plain, table

COLUMNS = {
    "asked": "asked",
    "first": "first",
    "second": "second",
    "equal": "equal",
    "skipped": "skipped",
    "pending": "unanswered",
    "held_out": "held out",
    "used": "used",
    "pool": "pool",
    "shortlist": "shortlist",
}


def ledger(answers: pd.DataFrame, terms: Terms, env: str) -> Table:
    """Queries by answer and use on one environment, from `analysis.ledger.answers`."""
    rows = answers[answers["env"] == env].set_index("method")
    rows = rows.loc[terms.order(answers[answers["env"] == env])]
    columns = [("Method", plain(rows.index)), ("n", plain(rows["n"]))]
    for key, name in COLUMNS.items():
        if key == "pending" and not rows[key].gt(0).any():
            continue
        places = 0 if (rows[key].dropna() % 1 == 0).all() else 1
        columns.append((name, numbers(rows[key], places)))
    return table(
        f"ledger {env}",
        f"Queries of a run on {env} by answer: means over {seeds(rows['n'])} runs. Answers are for "
        "the first or second segment, equal, or skipped. The reward model learned from the used "
        "ones; held out are those that validate it. Pool and shortlist: pairs of a session that "
        "there were to choose from, and those left for the picker after filter and score; means "
        "over sessions. A shortlist as short as a session's queries leaves no choice.",
        columns,
        [
            "No interval, no test.",
            teacher_and_budget(terms, env),
            excluded_runs(terms, [env]),
        ],
    )
