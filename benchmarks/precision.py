"""What bfloat16 does to the reward model, the VAE and returns, compared with float32 by seed.

    python benchmarks/precision.py [--seeds 10] [--only queries] [--out benchmarks/precision.json]

Four questions: on the same labels, are the loss curve and the held-out accuracy those of float32
and of a plain PyTorch ensemble? Do the VAE's latents say as much about a segment? Do whole runs end
at the same returns? And are the same queries asked?
"""

import argparse
import json
import tempfile
from collections.abc import Callable
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
from active_rlhf.selection.context import Context
from active_rlhf.selection.presets import PRESETS
from active_rlhf.selection.selector import Selector
from active_rlhf.selection.vae import SegmentVAE
from active_rlhf.tasks.gym import GymTask

ENVIRONMENT, LENGTH = "HalfCheetah-v5", 50
PAIRS, HELD_OUT, FITS = 60, 300, 5
BATCH, POOL, POOLS = 10, 100, 10  # queries of a session, candidate pairs, and sessions tried
SELECTORS = {
    "range": {"score": "range", "picker": "top"},
    "disagreement": {"score": "disagreement", "picker": "top"},
    "dpp": PRESETS["hybrid"] | {"candidates": {"name": "uniform"}},
}
MEASURES = ("curves", "vae", "returns", "queries")
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


class Learner:
    """A reward model and a VAE in one precision, trained on the same labels and the same draws."""

    def __init__(self, seed: int, precision: str, draws: int):
        store, moments, stream = behaviour(seed)
        self.store = store
        spec = thesis_run(ENVIRONMENT, "hybrid")
        assert spec.reward_model and spec.vae
        given = MLPSettings(**spec.reward_model.settings | {"precision": precision})
        sizes = store.observations.columns, store.actions.shape[1]
        self.model = MLPEnsemble(*sizes, np.random.default_rng(draws), given)
        settings = spec.vae.model_copy(update={"precision": precision})
        self.vae = SegmentVAE(sizes[0], LENGTH, np.random.default_rng(draws), settings)
        self.model.observe(moments)
        ids = store.draw(stream, 2 * PAIRS, LENGTH).reshape(-1, 2)
        returns = store.returns(ids, LENGTH)
        answers = (returns[:, 0] > returns[:, 1]).astype(float)
        for _ in range(FITS):
            self.model.fit(*store.gather(ids, LENGTH), answers)
        self.vae.fit(Segments(store, store.draw(stream, settings.segments, LENGTH), LENGTH))

    def as_in(self, precision: str) -> "Learner":
        """The same state, predicting in that precision (a VAE encodes in float32 in any case)."""
        other = object.__new__(Learner)
        other.store, other.vae = self.store, self.vae
        given = self.model.settings.model_copy(update={"precision": precision})
        sizes = self.model.observations, self.model.actions
        other.model = MLPEnsemble(*sizes, np.random.default_rng(0), given)
        other.model.load_state_dict(self.model.state_dict())
        return other

    def queries(self, composition: Any, pool: int) -> set[frozenset[int]]:
        """What is asked of that pool of candidates, which all learners are offered alike."""

        def segments(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return self.store.gather(ids, LENGTH)

        def of(predict: Callable[..., np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
            return lambda ids: predict(*segments(ids))

        context = Context(
            store=self.store,
            segment_length=LENGTH,
            pool_size=POOL,
            segments=segments,
            member_rewards=of(self.model.member_rewards),
            features=of(self.model.features),
            embed=lambda ids: self.vae.encode(segments(ids)[0]),
            log_probabilities=lambda observations, actions: np.zeros(len(actions)),
            train_accuracy=None,
            labelled=np.empty((0, 2), np.int64),
            answers=np.empty(0),
            session=0,
            step=self.store.steps,
            candidate_generator=np.random.default_rng(pool),
            selector_generator=np.random.default_rng(pool),
        )
        pairs = Selector(composition).select(context, BATCH).pairs
        return {frozenset(pair) for pair in pairs.tolist()}


def overlaps(seed: int) -> dict[str, dict[str, float]]:
    """Share of a session's queries that both would ask, by selector, in the mean over pools.

    Between float32 and bfloat16, from the same state (`predicted`) and after training in each
    (`trained`); and between two of float32 that differ in their random draws alone (`redrawn`).
    """
    exact = Learner(seed, "float32", seed)
    others = {
        "predicted": exact.as_in("bfloat16"),
        "trained": Learner(seed, "bfloat16", seed),
        "redrawn": Learner(seed, "float32", seed + 1000),
    }
    return {
        name: {
            by: float(
                np.mean(
                    [
                        len(exact.queries(composition, pool) & other.queries(composition, pool))
                        for pool in range(POOLS)
                    ]
                )
                / BATCH
            )
            for by, other in others.items()
        }
        for name, composition in SELECTORS.items()
    }


def averaged(values: list[float]) -> dict[str, float]:
    """Mean over seeds with its 95% percentile bootstrap interval."""
    found = {"n": len(values), "mean": float(np.mean(values))}
    interval = stats.bootstrap((values,), np.mean, method="percentile", rng=0).confidence_interval
    return found | {"low": float(interval.low), "high": float(interval.high)}


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


def curves_and_held_out(seeds: range) -> dict[str, Any]:
    curves = [fits(seed) for seed in seeds]
    found: dict[str, Any] = {
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
            found[f"held_out_{measure}_against_{other}"] = compared(last["bfloat16"], last[other])
    return found


def measured(which: str, seeds: range) -> dict[str, Any]:
    """One of `MEASURES`."""
    if which == "curves":
        return curves_and_held_out(seeds)
    if which == "queries":
        shares = [overlaps(seed) for seed in seeds]
        return {
            f"same_queries_{name}_{by}": averaged([share[name][by] for share in shares])
            for name in SELECTORS
            for by in shares[0][name]
        }
    if which == "vae":
        codes = {precision: [latents(seed, precision) for seed in seeds] for precision in DTYPES}
        return {
            f"vae_{measure}_against_float32": compared(
                *([row[measure] for row in codes[name]] for name in ("bfloat16", "float32"))
            )
            for measure in ("loss", "r2")
        }
    returns = [[final_return(seed, name) for seed in seeds] for name in ("bfloat16", "float32")]
    return {"final_return_against_float32": compared(*returns)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", choices=MEASURES, help="the others stay as they are in the file")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("precision.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    compilation.prepare()
    results = json.loads(args.out.read_text()) if args.only and args.out.exists() else {}
    with threadpool_limits(1):
        for which in [args.only] if args.only else MEASURES:
            results |= measured(which, range(1, args.seeds + 1))
    args.out.write_text(json.dumps(results, indent=1) + "\n")
    for name, row in results.items():
        if name == "curves":
            continue
        said = f"{name}: {row['mean']:.3f}"
        if "other_mean" in row:
            said += f" beside {row['other_mean']:.3f}, difference {row['difference']:.3f}"
        print(f"{said} [{row['low']:.3f}, {row['high']:.3f}], n = {row['n']}")


if __name__ == "__main__":
    main()
