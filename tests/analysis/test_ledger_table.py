import numpy as np
import pandas as pd

from active_rlhf.analysis.ledger import answers
from active_rlhf.analysis.wording import Terms
from active_rlhf.tables.ledger import ledger

SESSIONS = pd.DataFrame(
    {
        "env": "Hopper-v5",
        "method": pd.Categorical(["Random"] * 4 + ["DUO"] * 2, ["Random", "DUO"], ordered=True),
        "seed": [1, 1, 2, 2, 1, 1],
        "session": [0, 1, 0, 1, 0, 1],
        "asked": 10,
        "first": [4, 5, 5, 5, 2, 2],
        "second": [5, 5, 4, 5, 1, 2],
        "equal": [1, 0, 0, 0, 7, 4],
        "skipped": [0, 0, 1, 0, 0, 0],
        "held_out": 2,
        "used": [8, 8, 7, 8, 8, 6],
        "pool": 100,
        "shortlist": [100, 100, 100, 100, 50, 10],
    }
)


def test_answers_are_summed_over_sessions_and_averaged_over_runs():
    rows = answers(SESSIONS).set_index("method")
    assert rows.loc["Random", ["n", "first", "equal", "skipped"]].tolist() == [2, 9.5, 0.5, 0.5]
    assert rows.loc["DUO", ["n", "equal", "used", "pending"]].tolist() == [1, 11, 14, 2]
    assert rows["shortlist"].tolist() == [100, 30]


def test_the_table_says_what_was_answered_and_what_was_left_to_choose_from():
    made = ledger(answers(SESSIONS), Terms(methods=("Random", "DUO")), "Hopper-v5")
    text = [[cell.text for cell in row] for row in made.rows]
    assert made.columns[5:9] == ("equal", "skipped", "unanswered", "held out")
    assert " ".join(text[0]) == "Random 2 20 9.5 9.5 0.5 0.5 0 4 15.5 100 100"
    assert " ".join(text[1]) == "DUO 1 20 4.0 3.0 11.0 0.0 2 4 14.0 100 30"


def test_exports_of_earlier_versions_tell_ties_and_nothing_of_the_rest():
    known = ["env", "method", "seed", "session", "asked", "skipped", "held_out", "pool"]
    former = SESSIONS[known].assign(tied=SESSIONS["equal"], answered=10)
    rows = answers(former).set_index("method")
    assert rows.loc["DUO", ["asked", "equal"]].tolist() == [20, 11]
    assert np.isnan(rows[["first", "used", "shortlist", "pending"]]).all(axis=None)
    assert ledger(answers(former), Terms(), "Hopper-v5").rows[0][3].text == "–"
