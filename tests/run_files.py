"""Run directories written by hand: what training leaves behind, with small made-up numbers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from active_rlhf.files import sha256
from active_rlhf.results.collect import EPISODES, EVALUATIONS, SESSIONS, collect
from active_rlhf.study.loading import resolve_run
from active_rlhf.study.matrix import baselines, excluded_in, methods
from active_rlhf.study.settings import Spec, Study

STUDY: dict[str, Any] = {
    "study": "tiny",
    "seeds": [3, 11],
    "environments": ["Hopper-v5"],
    "selectors": ["random", "true_reward"],
    "total_steps": 4096,
    "labels": {"total": 20, "initial": 10, "sessions": 2},
    "reward_model": {"precision": "float32"},
    "vae": {"precision": "float32"},
}


def write_run(directory: Path, given: Spec, code: str = "0" * 64) -> None:
    """A finished run of the spec with four episodes, two evaluations and two sessions."""
    directory.mkdir(parents=True, exist_ok=True)
    spec = given.as_dict()
    rng = np.random.default_rng(spec["seed"])
    episodes = pd.DataFrame(
        {
            "step": [1000, 2000, 3000, 4000],
            "return": rng.normal(100, 30, 4),
            "length": 1000,
            "labels": [10, 10, 20, 20],
        }
    )
    evaluations = pd.DataFrame(
        {
            "step": [2048, 4096],
            "return_mean": rng.normal(size=2),
            "return_sd": rng.random(2),
            "episodes": 2,
            "labels": [10, 20],
        }
    )
    sessions = pd.DataFrame(rng.random((2, len(SESSIONS))), columns=list(SESSIONS))
    sessions = sessions.assign(session=[1, 2], step=[2048, 4096], score_pool=np.nan)
    episodes[list(EPISODES)].to_csv(directory / "episodes.csv", index=False)
    evaluations[list(EVALUATIONS)].to_csv(directory / "evaluations.csv", index=False)
    if "labels" in spec:
        sessions.to_csv(directory / "sessions.csv", index=False)
    stages = ["environment", "policy_update", *(["vae"] if "vae" in spec else [])]
    result = {
        "status": "complete",
        "spec": spec,
        "code": code,
        "host": "here",
        "wall_s": 2.0,
        "cpu_s": 1.5,
        "gpu_s": 0.0,
        "peak_rss_mb": 400.5,
        "seconds": dict.fromkeys(stages, 0.25),
        "files": {path.name: sha256(path) for path in directory.glob("*.csv")},
        "episodes": 4,
        "steps": 4096,
    }
    (directory / "run.json").write_text(json.dumps(result))


def export_runs(study: Study, environment: str, runs: Path, exports: Path) -> None:
    """`collect` of a loaded study, as the workflow calls it."""
    asked, compared = (
        {name: resolve_run(study, environment, name, 0).as_dict() for name in names}
        for names in (methods(study), baselines(study))
    )
    left_out = excluded_in(study, environment)
    collect(runs, exports, environment, asked, compared, study.seeds, left_out)


# What a run's result says about time and place, and nothing else of it, may differ.
CIRCUMSTANCES = (
    *("started", "finished", "resumed", "wall_s", "cpu_s", "gpu_s", "peak_rss_mb", "seconds"),
    *("host", "cpu", "cores", "versions", "precision"),
)


# What a run has beside its results: records of circumstances, a probe set of its own, and what
# people were asked.
BESIDE = {"tensorboard", "precision.json", "probe", "probe.npz", "probe.json"} | {
    *("queue.sqlite", "queue.sqlite-wal", "queue.sqlite-shm", "answers.csv")
}


def assert_same_results(a: Path, b: Path) -> None:
    """Every byte that two runs of one spec left, but for when, where and how fast.

    Where only one was measured on a probe set, its measures do not count.
    """
    names = {path.name for path in a.iterdir()} - BESIDE
    assert names == {path.name for path in b.iterdir()} - BESIDE
    first, second = (json.loads((run / "run.json").read_text()) for run in (a, b))
    measured = first.get("probe") == second.get("probe")
    left_out = {"timings.csv"} if measured else {"timings.csv", "sessions.csv"}
    for name in names - {"run.json", "finished.json", "progress.json"} - left_out:
        assert (a / name).read_bytes() == (b / name).read_bytes(), name
    if not measured:
        one, other = (
            pd.read_csv(run / "sessions.csv").filter(regex="^(?!probe_)") for run in (a, b)
        )
        pd.testing.assert_frame_equal(one, other)
    for result in (first, second):
        result["files"] = {k: v for k, v in result["files"].items() if k not in left_out}
        for key in (*CIRCUMSTANCES, "probe"):
            result.pop(key, None)
    assert first == second
    assert (a / "finished.json").read_bytes() == (a / "run.json").read_bytes()
