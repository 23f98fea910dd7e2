"""Where pairs come from against how they are chosen, in a finished config/few_labels.yaml.

Six of its selectors are crossed: pairs of all behaviour or of what the policy does now, chosen at
random, as DUO or as Hybrid chooses. The effect of the source is the mean over the three ways of
choosing, that of a way of choosing the mean over both sources; each is a difference within every
seed.

  python benchmarks/few_labels.py results/few_labels

Prints Markdown: Hodges-Lehmann estimate and exact 95% interval, Wilcoxon p, corrected by Holm over
the three effects on one environment, budget and endpoint.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from active_rlhf.analysis.comparisons import holm, wilcoxon
from active_rlhf.analysis.files import read_table
from active_rlhf.analysis.intervals import hodges_lehmann, hodges_lehmann_interval

CROSSED = {
    ("all", "random"): "Random",
    ("all", "DUO"): "uniform-duo",
    ("all", "Hybrid"): "uniform-hybrid",
    ("own", "random"): "on_policy-random",
    ("own", "DUO"): "DUO",
    ("own", "Hybrid"): "Hybrid",
}
ENDPOINTS = {
    "endpoint": ("final return", 0),
    "evaluation": ("evaluation return", 0),
    "reward_correlation": ("reward-model correlation", 3),
    "reward_accuracy": ("reward-model accuracy", 3),
}


def effects(values: pd.DataFrame) -> dict[str, pd.Series]:
    """By effect, the difference in every seed; values: seeds x (source, choice)."""
    of_source = values.T.groupby(level=0).mean().T
    of_choice = values.T.groupby(level=1).mean().T
    return {
        "own behaviour − all": of_source["own"] - of_source["all"],
        "DUO's choice − random": of_choice["DUO"] - of_choice["random"],
        "Hybrid's choice − random": of_choice["Hybrid"] - of_choice["random"],
    }


def main(results: Path) -> None:
    table = read_table(results / "statistics" / "endpoints.parquet")
    print("| Labels | Environment | Endpoint | Effect | n | HL [95% interval] | Holm p |")
    print("|--:|---|---|---|--:|--:|--:|")
    for (variant, env), cell in table.groupby(["variant", "env"], sort=False):
        for metric, (name, places) in ENDPOINTS.items():
            own = cell[cell["metric_type"] == metric].astype({"method": str})
            wide = own.pivot(index="seed", columns="method", values="value")
            crossed = wide[list(CROSSED.values())].set_axis(
                pd.MultiIndex.from_tuples(CROSSED), axis=1
            )
            found = effects(crossed)
            tests = [wilcoxon(difference.to_numpy())[1] for difference in found.values()]
            corrected = holm(np.asarray(tests))
            for (effect, difference), p in zip(found.items(), corrected, strict=True):
                low, high = hodges_lehmann_interval(difference.to_numpy())
                middle = hodges_lehmann(difference.to_numpy())
                labels = str(variant).removeprefix("labels")
                print(
                    f"| {labels} | {env} | {name} | {effect} | {len(difference)} "
                    f"| {middle:.{places}f} [{low:.{places}f}, {high:.{places}f}] | {p:.3f} |"
                )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
