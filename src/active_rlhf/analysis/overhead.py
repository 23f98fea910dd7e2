"""The cost of a selector: time and memory of its runs, compared with those of Random."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

MEASURES = {"wall_s": "Wall", "cpu_s": "CPU", "gpu_s": "GPU", "peak_rss_mb": "Peak memory"}
COMBINED = "All environments"


def select(
    runs: pd.DataFrame,
    methods: Mapping[str, str] | None = None,
    exclude: Sequence[Mapping[str, Any]] = (),
) -> pd.DataFrame:
    """Rows of `overhead.csv` under display names, in table order, without the excluded runs.

    `runs` has `env, method, seed, wall_s, cpu_s, gpu_s, peak_rss_mb, host` and `<stage>_s`;
    `methods` and `exclude` are those of the study, as in `export.read_runs`.
    """
    names = methods or {name: name for name in sorted(runs["method"].unique())}
    runs = runs[runs["method"].isin(list(names))]
    shown = runs["method"].map(dict(names))
    for entry in exclude:
        run = (runs["env"] == entry["env"]) & (runs["seed"] == entry["seed"])
        kept = ~(run & ((runs["method"] == entry["method"]) | (shown == entry["method"])))
        runs, shown = runs[kept], shown[kept]
    order = list(dict.fromkeys(names.values()))
    return runs.assign(method=pd.Categorical(shown, categories=order, ordered=True))


def overhead(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean cost by environment and method, and its change relative to the reference method.

    runs: as `select` returns them. Columns: `env, method, n, wall_s, cpu_s, gpu_s, peak_rss_mb`,
    `<measure>_change` (a fraction: .1 is ten per cent more; NaN where the reference's mean is
    zero), `hosts` (sorted, joined by commas), `reference`. The rows of environment "All
    environments" are means of the environments' means, over `shared_environments`.
    """
    groups = runs.groupby(["env", "method"], sort=False, observed=True)
    means = groups[list(MEASURES)].mean().assign(n=groups.size())
    means["hosts"] = groups["host"].agg(lambda hosts: ", ".join(sorted(set(map(str, hosts)))))
    means = means.reset_index()
    means["env"] = pd.Categorical(means["env"], [*dict.fromkeys(runs["env"]), COMBINED])

    shared = means[means["env"].isin(shared_environments(means))]
    by_method = shared.groupby("method", observed=True)
    combined = by_method[list(MEASURES)].mean().assign(n=by_method["n"].sum(), env=COMBINED)
    combined["hosts"] = by_method["hosts"].agg(
        lambda cells: ", ".join(sorted({host for cell in cells for host in cell.split(", ")}))
    )
    combined = combined.reset_index().astype({"env": means["env"].dtype})
    means = pd.concat([means, combined]).sort_values(["env", "method"], ignore_index=True)

    means["reference"] = reference_method(list(runs["method"].cat.categories))
    base = means[means["method"] == means["reference"]].set_index("env")
    for name in MEASURES:
        against = means["env"].astype(str).map(base[name])
        means[f"{name}_change"] = (means[name] / against - 1).where(against > 0)
    measures = [column for name in MEASURES for column in (name, f"{name}_change")]
    return means[["env", "method", "n", *measures, "hosts", "reference"]].astype({"env": str})


def shared_environments(means: pd.DataFrame) -> list[str]:
    """The environments that every method has been run on."""
    means = means[means["env"] != COMBINED]
    counts = means["env"].value_counts()[means["env"].unique()]
    return [str(env) for env in counts.index[counts == means["method"].nunique()]]


def reference_method(methods: Sequence[str]) -> str:
    """The first method called random, in any case, or else the first of all."""
    return next((name for name in methods if name.lower() == "random"), methods[0])


def hosts_differ(means: pd.DataFrame) -> bool:
    """Whether some environment's methods ran on different sets of machines (see `overhead`)."""
    return bool((means.groupby("env")["hosts"].nunique() > 1).any())


def stages(runs: pd.DataFrame, measure: str = "wall_s") -> pd.DataFrame:
    """Mean seconds of each stage of a run, long: `env, method, n, stage, seconds`.

    Time in the column `measure` that no stage accounts for counts as `other`.
    """
    named = [c for c in runs.columns if c.endswith("_s") and c not in MEASURES]
    rest = (runs[measure] - runs[named].sum(axis=1)).clip(lower=0)
    columns = [name.removesuffix("_s") for name in named]
    wide = runs[named].set_axis(columns, axis=1).assign(other=rest)
    keys = runs[["env", "method"]]
    groups = pd.concat([keys, wide], axis=1).groupby(["env", "method"], sort=False, observed=True)
    means = groups.mean().assign(n=groups.size()).reset_index()
    return means.melt(["env", "method", "n"], var_name="stage", value_name="seconds")
