"""What bfloat16 does to the reward model, the VAE and returns, compared with float32 by seed.

    python benchmarks/precision.py [--seeds 10] [--out benchmarks/precision.json]

Three questions: on the same labels, are the loss curve and the held-out accuracy those of float32
and of a plain PyTorch ensemble? Do the VAE's latents say as much about a segment? And do whole runs
end at the same returns?
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reference import PlainEnsemble
from scipy import stats
from sklearn.linear_model import LinearRegression
from threadpoolctl import threadpool_limits
from training import ppo_settings, thesis_run

from active_rlhf.agents.normalise import Moments
from active_rlhf.agents.ppo.agent import CompiledPPO
from active_rlhf.behaviour.store import Segments, SegmentStore, schema
from active_rlhf.compute import compilation
from active_rlhf.compute.precision import DTYPES
from active_rlhf.rewards.measures import accuracy, cross_entropy
from active_rlhf.rewards.mlp import MLPEnsemble
from active_rlhf.rewards.settings import MLPSettings
from active_rlhf.run.training import train
from active_rlhf.selection.vae import SegmentVAE
from active_rlhf.tasks.gym import GymTask

ENVIRONMENT, LENGTH = "HalfCheetah-v5", 50
PAIRS, HELD_OUT, FITS = 60, 300, 5
RUN = {
    "total_steps": 61_440,
    "labels": {"total": 100, "initial": 10, "sessions": 10},
    "evaluation": {"every": 61_440, "episodes": 1},
}


def behaviour(seed: int) -> tuple[SegmentStore, Moments, np.random.Generator]:
    """Ten rollouts of a policy that has learned nothing."""
    stream, task = np.random.default_rng(seed), GymTask(ENVIRONMENT, seed)
    agent = CompiledPPO(task, ppo_settings(ENVIRONMENT), stream)
    store = SegmentStore(20_480, schema(task))
    for _ in range(10):
        store.append(agent.act(task, 2048, stream))
    return store, agent.moments, stream


def labelled(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, Moments]:
    """Pairs of segments [n, 2, H, .] with the oracle's answers."""
    store, moments, stream = behaviour(seed)
    ids = store.draw(stream, 2 * (PAIRS + HELD_OUT), LENGTH).reshape(-1, 2)
    returns = store.returns(ids, LENGTH)
    observations, actions = store.gather(ids, LENGTH)
    return observations, actions, (returns[:, 0] > returns[:, 1]).astype(float), moments


def fits(seed: int) -> dict[str, dict[str, list[float]]]:
    """Held-out loss and accuracy after each of `FITS` fits, for each way to train."""
    observations, actions, answers, moments = labelled(seed)
    chosen = thesis_run(ENVIRONMENT).reward_model
    assert chosen
    settings = MLPSettings(**chosen.settings)
    sizes = observations.shape[-1], actions.shape[-1]
    ensembles = {
        precision: MLPEnsemble(
            *sizes,
            np.random.default_rng(seed),
            settings.model_copy(update={"precision": precision}),
        )
        for precision in ("bfloat16", "float32")
    }
    for ensemble in ensembles.values():
        ensemble.observe(moments)
    plain = PlainEnsemble(settings, sum(sizes), seed)
    inputs = ensembles["float32"].inputs(observations, actions)
    curves: dict[str, dict[str, list[float]]] = {
        name: {"loss": [], "accuracy": []} for name in (*ensembles, "plain_torch")
    }
    for _ in range(FITS):
        for name, curve in curves.items():
            if name in ensembles:
                model = ensembles[name]
                model.fit(observations[:PAIRS], actions[:PAIRS], answers[:PAIRS])
                p = model.preferences(observations[PAIRS:], actions[PAIRS:]).mean(0)
            else:
                plain.fit(inputs[:PAIRS], answers[:PAIRS])
                p = plain.preferences(inputs[PAIRS:]).mean(0)
            curve["loss"].append(cross_entropy(p, answers[PAIRS:]))
            curve["accuracy"].append(accuracy(p, answers[PAIRS:]))
    return curves


def latents(seed: int, precision: str) -> dict[str, float]:
    """A VAE after `FITS` fits: last loss, and R2 of returns given the latents of new segments."""
    store, _, stream = behaviour(seed)
    chosen = thesis_run(ENVIRONMENT, "variquery").vae
    assert chosen
    settings = chosen.model_copy(update={"precision": precision})
    size, half = store.observations.columns, settings.segments
    model = SegmentVAE(size, LENGTH, np.random.default_rng(seed), settings)
    for _ in range(FITS):
        loss = model.fit(Segments(store, store.draw(stream, half, LENGTH), LENGTH))
    ids = store.draw(stream, 2 * half, LENGTH)
    codes, returns = model.encode(store.gather(ids, LENGTH)[0]), store.returns(ids, LENGTH)
    known = LinearRegression().fit(codes[:half], returns[:half])
    return {"loss": loss, "r2": float(known.score(codes[half:], returns[half:]))}


def final_return(seed: int, precision: str) -> float:
    changes = {part: {"precision": precision} for part in ("reward_model", "vae")}
    spec = thesis_run(ENVIRONMENT, "variquery", **RUN, **changes).model_copy(update={"seed": seed})
    with tempfile.TemporaryDirectory() as folder:
        train(spec, folder)
        return json.loads((Path(folder) / "run.json").read_text())["final_return"]


def compared(a: list[float], b: list[float]) -> dict[str, float]:
    """Means, and the mean difference a - b by seed with its 95% t interval."""
    differences = np.subtract(a, b)
    interval = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    return {
        "n": len(a),
        "mean": float(np.mean(a)),
        "other_mean": float(np.mean(b)),
        "difference": float(differences.mean()),
        "low": float(interval.low),
        "high": float(interval.high),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("precision.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(1, args.seeds + 1)
    compilation.prepare()
    with threadpool_limits(1):
        curves = [fits(seed) for seed in seeds]
        returns, codes = (
            {precision: [of(seed, precision) for seed in seeds] for precision in DTYPES}
            for of in (final_return, latents)
        )
    results: dict[str, Any] = {
        "curves": {
            name: {
                measure: np.mean([curve[name][measure] for curve in curves], axis=0).tolist()
                for measure in ("loss", "accuracy")
            }
            for name in curves[0]
        }
    }
    for measure in ("loss", "accuracy"):
        last = {name: [curve[name][measure][-1] for curve in curves] for name in curves[0]}
        for other in ("float32", "plain_torch"):
            results[f"held_out_{measure}_against_{other}"] = compared(last["bfloat16"], last[other])
    for measure in ("loss", "r2"):
        values = {name: [row[measure] for row in rows] for name, rows in codes.items()}
        results[f"vae_{measure}_against_float32"] = compared(values["bfloat16"], values["float32"])
    results["final_return_against_float32"] = compared(returns["bfloat16"], returns["float32"])
    args.out.write_text(json.dumps(results, indent=1) + "\n")
    for name, row in results.items():
        if name != "curves":
            print(
                f"{name}: {row['mean']:.3f} beside {row['other_mean']:.3f}, difference "
                f"{row['difference']:.3f} [{row['low']:.3f}, {row['high']:.3f}], n = {row['n']}"
            )


if __name__ == "__main__":
    main()
