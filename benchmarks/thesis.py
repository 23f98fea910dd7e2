"""Full runs with the thesis's settings: their cost, and their returns beside the published ones.

    python benchmarks/thesis.py RESULTS [--out benchmarks/thesis.json]

RESULTS is the folder of a study, such as results/thesis. It need not be finished: every complete
run counts. Writes the rows and a stacked bar of the seconds by stage; prints the tables of
docs/results.md and docs/performance.md. The speed of a machine varies, so seconds of physics are
those of the run's own rollouts, times their share of physics' speed as `make benchmark` found it.
"""

import argparse
import json
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pandas as pd
from training import STUDY, run_row

from active_rlhf.analysis.wording import Terms
from active_rlhf.figures.overhead import overhead_bars
from active_rlhf.figures.style import save
from active_rlhf.study.loading import load_study

RESULTS = Path(__file__).with_name("results.json")
IMAGE = Path(__file__).parents[1] / "docs" / "images" / "seconds_by_stage"
NAMES = {"true_reward": "true reward"} | dict(load_study(STUDY).methods or {})


def rows(results: Path) -> list[dict[str, Any]]:
    """A row for each complete run, as in `results.json`, with its seed and final return."""
    records = [json.loads(path.read_text()) for path in sorted(results.glob("runs/*/*/*/run.json"))]
    records.sort(key=lambda record: list(NAMES).index(record["spec"]["selector"]))
    measured = json.loads(RESULTS.read_text())["agent"]
    speed = {row["env"]: row["rollout_share_of_physics_speed"] for row in measured}
    for record in records:
        # Stages are timed by the wall clock, which runs on while other processes have the core.
        share = record["cpu_s"] / sum(record["seconds"].values())
        record["seconds"] = {name: share * value for name, value in record["seconds"].items()}
    return [
        run_row(record, speed[record["spec"]["environment"]] * record["seconds"]["environment"])
        | {
            "seed": record["spec"]["seed"],
            "host": record["host"],
            "final_return": record["final_return"],
        }
        for record in records
    ]


def returns(found: list[dict[str, Any]]) -> str:
    """A Markdown table of final returns beside the published means and standard deviations."""
    published = load_study(STUDY).published
    lines = ["| environment | method | final returns | mean | published |", "|---|---|--:|--:|--:|"]
    for environment in published:
        for selector, name in NAMES.items():
            own = [
                row["final_return"]
                for row in found
                if (row["env"], row["selector"]) == (environment, selector)
            ]
            if not own:
                continue
            theirs = published[environment].get(name)
            beside = f"{theirs['mean']} ± {theirs['sd']}" if theirs else ""
            sd = f" ± {stdev(own):.0f}" if len(own) > 2 else ""
            each = ", ".join(f"{value:.0f}" for value in own)
            lines.append(f"| {environment} | {name} | {each} | {mean(own):.0f}{sd} | {beside} |")
    return "\n".join(lines)


def costs(found: list[dict[str, Any]]) -> str:
    """A Markdown table of CPU seconds, ratios and memory by environment and method."""
    head = "| environment | method | CPU s | x physics | x Random | peak MB |"
    lines = [head, "|---|---|--:|--:|--:|--:|"]
    frame = pd.DataFrame(found)
    measures = ["cpu_s", "ratio_to_physics", "peak_rss_mb"]
    means = frame.groupby(["env", "selector"], sort=False)[measures].mean()
    for environment in frame["env"].unique():
        for selector, row in means.loc[environment].iterrows():
            times_random = row["cpu_s"] / means.loc[(environment, "random"), "cpu_s"]
            lines.append(
                f"| {environment} | {NAMES[str(selector)]} | {row['cpu_s']:.0f} | "
                f"{row['ratio_to_physics']:.1f} | {times_random:.2f} | {row['peak_rss_mb']:.0f} |"
            )
    return "\n".join(lines)


def thesis_hours(found: list[dict[str, Any]], seconds: str) -> float:
    """Hours of the whole thesis, ten seeds per cell, from the cells' means of `seconds`."""
    frame = pd.DataFrame(found).query("selector != 'true_reward'")
    return 10 * frame.groupby(["env", "selector"])[seconds].mean().sum() / 3600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("thesis.json"))
    args = parser.parse_args()
    found = rows(args.results)
    args.out.write_text(json.dumps(found, indent=1) + "\n")
    frame = pd.DataFrame(found)
    stages = frame["seconds_by_stage"].apply(pd.Series).fillna(0.0).add_suffix("_s")
    frame = pd.concat([frame[["env", "seed", "cpu_s", "host"]], stages], axis=1)
    frame["method"] = pd.Categorical(
        [NAMES[row["selector"]] for row in found], list(NAMES.values()), ordered=True
    )
    figure = overhead_bars(frame, Terms(methods=tuple(NAMES.values())), measure="cpu_s")
    save(figure, IMAGE)
    IMAGE.with_suffix(".pdf").unlink()
    print(returns(found), costs(found), sep="\n\n")
    print(
        f"\nThe thesis's 160 runs at this pace: {thesis_hours(found, 'cpu_s'):.1f} CPU hours, "
        f"of which physics {thesis_hours(found, 'physics_s'):.1f}"
    )


if __name__ == "__main__":
    main()
