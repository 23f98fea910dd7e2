"""CPU seconds and memory of studies of imported runs, by their number.

    python benchmarks/imports.py [--runs 500 1000 2000] [--out benchmarks/imports.json]

Each number is measured in a process of its own: runs of 1,000 episodes, ten methods with up to a
hundred seeds in each environment, whose runs are in one long CSV, are converted to the exports and
analysed with all statistics. The files are written before, and not counted.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

METHODS, SEEDS, EPISODES, LENGTH = 10, 100, 1000, 1000


def write_runs(path: Path, runs: int) -> None:
    """A long CSV with columns `algo, seed, env_steps, score`."""
    rng = np.random.default_rng(0)
    steps = LENGTH * np.arange(1, EPISODES + 1)
    for number in range(runs):
        scores = 1000 * (1 - np.exp(-steps / 3e5)) + rng.normal(0, 100, EPISODES)
        frame = pd.DataFrame(
            {
                "algo": f"method_{number % METHODS}",
                "seed": number // METHODS,
                "env_steps": steps,
                "score": scores.round(4),
            }
        )
        frame.to_csv(path, mode="a", header=number == 0, index=False)


def measured(folder: Path) -> dict[str, float]:
    """What one process takes to convert and analyse the files of a folder."""
    from active_rlhf.analysis.study import statistics_of_exports
    from active_rlhf.results.imports import convert_of_study
    from active_rlhf.study.loading import load_study

    names = sorted(path.stem for path in folder.glob("*.csv"))
    given = {"study": "size", "imported": {name: f"{name}.csv" for name in names}}
    begin = time.process_time()
    study = load_study(folder / "study.yaml", data=given).as_dict()
    for name in names:
        convert_of_study(name, study, folder / "exports")
    converted = time.process_time()
    exports = {name: folder / f"exports/{name}.csv" for name in names}
    files = {"exports": exports, "total_steps": {}, "baselines": {}}
    nothing = {"evaluations": {}, "sessions": {}, "references": [], "methods": None, "exclude": []}
    statistics_of_exports(study | files | nothing)
    return {
        "convert_s": converted - begin,
        "statistics_s": time.process_time() - converted,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[500, 1000, 2000, 4000])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.folder:
        print(json.dumps(measured(args.folder)))
        return
    rows = []
    for runs in args.runs:
        with tempfile.TemporaryDirectory() as folder:
            for first in range(0, runs, METHODS * SEEDS):
                name = f"task_{first // (METHODS * SEEDS):02}.csv"
                write_runs(Path(folder) / name, min(runs - first, METHODS * SEEDS))
            command = [sys.executable, __file__, "--folder", folder]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append({"runs": runs, "rows": runs * EPISODES} | json.loads(done.stdout))
        print({key: round(value, 1) for key, value in rows[-1].items()}, flush=True)
    args.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
