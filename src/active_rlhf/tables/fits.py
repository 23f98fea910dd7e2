"""Reward models compared offline."""

import pandas as pd

from active_rlhf.analysis.wording import interval, number
from active_rlhf.tables.cells import Table, numbers, plain, table


def fits(rows: pd.DataFrame, seeds: int) -> Table:
    """A row for each model, score and person held out, from `labelling.fitting.compare`."""

    def measured(name: str) -> list[str]:
        ends = zip(rows[name], rows[f"{name}_low"], rows[f"{name}_high"], strict=True)
        return [
            number(value, 3) + ("" if low != low else f" {interval(low, high, 3)}")
            for value, low, high in ends
        ]

    columns = [
        ("Reward model", plain(rows["reward_model"])),
        ("Learned from", plain(rows["score"])),
        ("Held out", plain(rows["held_out"])),
        ("labels", numbers(rows["labels"], 0)),
        ("accuracy", plain(measured("accuracy"))),
        ("cross-entropy", plain(measured("cross_entropy"))),
        ("n", numbers(rows["n"], 0)),
    ]
    return table(
        "fits",
        f"Predictions of answers that were held out, means over {seeds} trainings. Accuracy is of "
        "answers for a segment; intervals (95%) are by bootstrap over pairs; n: answers.",
        columns,
        [],
        left=3,
    )
