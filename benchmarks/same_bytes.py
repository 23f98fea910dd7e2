"""Whether two checkouts train runs to the same bytes: `python benchmarks/same_bytes.py OLD NEW`.

Both train the same small runs, each with its own package but this Python. Files of numbers are
compared, and the arrays of saved models in any file format; NEW may have more of both. `--keep DIR`
keeps the runs there, and those that are complete are not trained again.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np

ENVIRONMENTS = ("HalfCheetah-v5", "Ant-v5")
SELECTORS = ("random", "variquery", "duo", "hybrid", "true_reward", "random_policy")
SEEDS = (1, 2)
STEPS = 61_440
TABLES = ("episodes.csv", "evaluations.csv")
MODELS = ("policy", "reward_model")
CHANGES = ("baselines=true", "labels.total=100", "labels.sessions=10", "evaluation.every=20480")


def train(checkout: Path, environment: str, selector: str, seed: int, out: Path) -> None:
    """Train one run with a checkout's package and its tuned settings."""
    study = (checkout / "config/thesis.yaml").read_text()
    steps = "ppo.total_steps" if "ppo: {total_steps" in study else "total_steps"
    changes = [f"--set={change}" for change in (*CHANGES, f"{steps}={STEPS}")]
    run = ["--env", environment, "--selector", selector, "--seed", str(seed), "--out", str(out)]
    command = [sys.executable, "-m", "active_rlhf.cli", "train", "--study", "config/thesis.yaml"]
    done = subprocess.run(
        [*command, *run, *changes],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout / "src")},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{checkout}: {environment} {selector} {seed}: {done.stderr.strip()}")


def content(run: Path) -> dict[str, bytes]:
    """What a run directory holds, by name: tables as files, arrays as type, shape and bytes."""
    found = {name: (run / name).read_bytes() for name in TABLES}
    arrays: dict[str, dict[str, np.ndarray]] = {}
    if (run / "labels.npz").exists():
        with np.load(run / "labels.npz") as labels:
            arrays["labels"] = dict(labels)
    for name in MODELS:
        if (run / f"{name}.safetensors").exists():
            from safetensors.numpy import load_file

            arrays[name] = load_file(run / f"{name}.safetensors")
        elif (run / f"{name}.pt").exists():
            import torch

            saved = torch.load(run / f"{name}.pt", weights_only=True)
            arrays[name] = {key: tensor.numpy() for key, tensor in saved.items()}
    for name, named in arrays.items():
        for key, array in named.items():
            found[f"{name}: {key}"] = f"{array.dtype}{array.shape}".encode() + array.tobytes()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", nargs="+", type=Path, metavar="CHECKOUT", help="OLD NEW")
    parser.add_argument("--keep", type=Path, help="folder in which the runs stay")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--selectors", nargs="+", default=SELECTORS)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    args = parser.parse_args()

    cells = list(product(ENVIRONMENTS, args.selectors, args.seeds))
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.keep or Path(temporary)).resolve()

        def place(checkout: Path, cell: tuple[str, str, int]) -> Path:
            return folder.joinpath(
                str(checkout.resolve()).strip("/").replace("/", "-"), *map(str, cell)
            )

        def one(task: tuple[Path, tuple[str, str, int]]) -> None:
            train(task[0].resolve(), *task[1], place(*task))

        with ThreadPoolExecutor(args.cores) as pool:
            list(pool.map(one, product(args.checkouts, cells)))
        different = 0
        for cell in cells if len(args.checkouts) == 2 else ():
            old, new = (content(place(checkout, cell)) for checkout in args.checkouts)
            differing = [name for name in old if old[name] != new.get(name)]
            different += bool(differing)
            print(*cell, "differs in " + ", ".join(differing) if differing else "same bytes")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
