"""How fast one checkout trains against another: `python benchmarks/same_speed.py OLD NEW`.

Both train the same small runs as `same_bytes.py`, turn by turn, on an otherwise idle machine. The
runs' own timings are compared by stage: rollouts, policy updates, reward training, and the CPU
seconds of all. A line gives the median over turns of NEW's time by OLD's of the same turn.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from statistics import median

from same_bytes import train

STAGES = {
    "rollout": "environment",
    "policy update": "policy_update",
    "reward training": "reward_model",
    "prediction": "prediction",
    "evaluation": "evaluation",
}


def seconds(run: Path) -> dict[str, float]:
    """Wall seconds by stage of a finished run, and CPU seconds of all of it."""
    said = json.loads((run / "run.json").read_text())
    by_stage = {name: said["seconds"].get(stage, 0.0) for name, stage in STAGES.items()}
    return by_stage | {"whole run (CPU)": said["cpu_s"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--environments", nargs="+", default=["HalfCheetah-v5", "Ant-v5"])
    parser.add_argument("--selectors", nargs="+", default=["random", "hybrid"])
    parser.add_argument("--turns", type=int, default=5)
    args = parser.parse_args()
    for environment in args.environments:
        for selector in args.selectors:
            ratios: dict[str, list[float]] = {}
            for turn in range(args.turns + 1):
                with tempfile.TemporaryDirectory() as folder:
                    found = []
                    order = [args.old, args.new] if turn % 2 else [args.new, args.old]
                    for checkout in order:
                        run = Path(folder) / checkout.name / str(checkout == args.new)
                        train(checkout.resolve(), environment, selector, 1, run)
                        found.append(seconds(run))
                        shutil.rmtree(run)
                old, new = found if turn % 2 else found[::-1]
                for name, value in new.items() if turn else ():  # the first turn warms up
                    if old[name] > 0.05:
                        ratios.setdefault(name, []).append(value / old[name])
            print(f"{environment} {selector}, NEW / OLD, median of {args.turns} turns")
            for name, values in ratios.items():
                print(f"  {name:<16} {median(values):.3f} ({min(values):.3f} to {max(values):.3f})")


if __name__ == "__main__":
    main()
