"""The loop of one run: act, ask, learn the reward, improve the policy."""

import fcntl
import json
import os
import platform
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from active_rlhf import ppo, reward_model, teachers
from active_rlhf.files import atomic
from active_rlhf.fingerprint import code_fingerprint
from active_rlhf.ledger import Ledger
from active_rlhf.policy import Policy
from active_rlhf.reporting import Reporter
from active_rlhf.reward_model import RewardEnsemble
from active_rlhf.reward_scaling import RewardScale
from active_rlhf.rollout import Actor, Rollout, collect, evaluate
from active_rlhf.schedule import held_out_per_session, queries_per_session, session_rollouts
from active_rlhf.segments import SegmentStore
from active_rlhf.selection.selectors import Context, needs_latents, select
from active_rlhf.selection.vae import SegmentVAE
from active_rlhf.tracking import Record, tracker

# One stream a purpose: runs with the same seed share environment, initial policy and teacher
# noise whatever their selector draws.
STREAMS = (
    "environment",
    "initial_policy",
    "exploration",
    "minibatches",
    "teacher",
    "candidates",
    "selector",
    "split",
    "reward_model",
    "vae",
    "probe",
    "evaluation",
)
RECENT_RETURNS = 10  # true returns that scale a B-Pref teacher, and that make a run's final return
TIE_PAIRS = 1000  # uniformly drawn pairs that fix the oracle's tie threshold


@dataclass
class Clock:
    """Wall seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - begin)

    def add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds


class PreferenceLearner:
    """The half of a run that asks and learns from answers: selector, teacher, ledger, ensemble."""

    def __init__(
        self,
        spec: dict[str, Any],
        actor: Actor,
        store: SegmentStore,
        rollouts: int,
        streams: dict[str, np.random.Generator],
        clock: Clock,
    ):
        labels = spec["labels"]
        self.spec, self.store, self.streams, self.clock = spec, store, streams, clock
        self.length = labels["segment_length"]
        self.episode_length = actor.episode_length
        sizes = actor.observation_size, actor.action_size
        self.ensemble = RewardEnsemble(spec["reward_model"], *sizes, streams["reward_model"])
        self.teacher = teachers.build(spec["teacher"])
        self.ledger = Ledger(labels["total"])
        self.asked_pairs = np.empty((0, 2), np.int64)
        queries = queries_per_session(labels["total"], labels["initial"], labels["sessions"])
        held_out = held_out_per_session(queries, labels["validation_fraction"])
        when = session_rollouts(rollouts, labels["sessions"])
        self.schedule = {r: (q, h) for r, q, h in zip(when, queries, held_out, strict=True)}
        self.vae = (
            SegmentVAE(spec["vae"], sizes[0], self.length, streams["vae"])
            if needs_latents(spec["selection"])
            else None
        )
        self.train_accuracy: float | None = None
        self.sessions: list[dict[str, Any]] = []
        self.timings: list[dict[str, Any]] = []

    def session(self, policy: Policy, recent_returns: list[float], queries: int, held: int) -> None:
        """Select pairs, put them to the teacher, and train the reward model on all answers."""
        store, length, labels = self.store, self.length, self.spec["labels"]
        selection = select(
            self.spec["selection"], self._context(policy, labels["oversampling"] * queries), queries
        )
        for stage, seconds in selection.seconds.items():
            self.clock.add(stage, seconds)
        with self.clock.stage("teacher"):
            answers = self._ask(selection.pairs, recent_returns)
        held_out = np.zeros(queries, bool)
        held_out[self.streams["split"].permutation(queries)[:held]] = True
        observations, actions = store.gather(selection.pairs, length)
        self.ledger.record(
            pairs=selection.pairs,
            observations=observations,
            actions=actions,
            answers=answers,
            session=len(self.sessions),
            held_out=held_out,
        )
        self.asked_pairs = np.concatenate([self.asked_pairs, selection.pairs])
        with self.clock.stage("reward_model"):
            measured = self._learn(policy)
        preference = answers.preference
        self.sessions.append(
            {
                "session": len(self.sessions),
                "step": store.steps,
                "asked": queries,
                "answered": int(np.isfinite(preference).sum()),
                "tied": int((preference == 0.5).sum()),
                "skipped": int(np.isnan(preference).sum()),
                "held_out": held,
                "labels": self.ledger.asked,
                "pool": selection.pool_size,
                "score_pool": selection.score_pool,
                "score_selected": selection.score_selected,
                **measured,
            }
        )
        self.timings.append(
            {"session": len(self.timings), "step": store.steps, **selection.seconds}
        )

    def _context(self, policy: Policy, pool_size: int) -> Context:
        trained = False

        def latents(ids: np.ndarray) -> np.ndarray:
            nonlocal trained
            assert self.vae is not None
            if not trained:
                count = self.spec["vae"]["segments"]
                drawn = self.store.draw(self.streams["vae"], count, self.length)
                self.vae.fit(self.store.gather(drawn, self.length)[0])
                trained = True
            return self.vae.encode(self.store.gather(ids, self.length)[0])

        return Context(
            store=self.store,
            segment_length=self.length,
            pool_size=pool_size,
            log_probabilities=policy.log_probabilities,
            member_rewards=self.ensemble.member_rewards,
            train_accuracy=self.train_accuracy,
            labelled=self.asked_pairs,
            latents=latents,
            candidate_generator=self.streams["candidates"],
            selector_generator=self.streams["selector"],
        )

    def _ask(self, pairs: np.ndarray, recent_returns: list[float]) -> teachers.Answers:
        generator = self.streams["teacher"]
        uniform = self.store.draw(generator, 2 * TIE_PAIRS, self.length).reshape(-1, 2)
        returns = self.store.returns(uniform, self.length)
        history = teachers.History(
            uniform_gaps=np.abs(returns[:, 0] - returns[:, 1]),
            recent_returns=np.array(recent_returns[-RECENT_RETURNS:]),
            episode_length=self.episode_length,
        )
        question = teachers.Question(
            rewards=self.store.true_rewards(pairs, self.length),
            actions=self.store.gather(pairs, self.length)[1],
        )
        return self.teacher(question, history, generator)

    def _learn(self, policy: Policy) -> dict[str, float]:
        ensemble, probe_stream = self.ensemble, self.streams["probe"]
        ensemble.observe(policy.moments)
        training, validation = self.ledger.training(), self.ledger.validation()
        if len(training.preferences):
            ensemble.fit(training.observations, training.actions, training.preferences)
        # Uniform over all behaviour, hence the same measure for every selector.
        drawn = self.store.draw(probe_stream, 2 * self.spec["labels"]["probe_pairs"], self.length)
        observations, actions = self.store.gather(drawn, self.length)
        rewards = ensemble.member_rewards(observations, actions)
        ensemble.calibrate(rewards)
        predicted = ensemble.combined(rewards).sum(-1)
        true = self.store.returns(drawn, self.length)
        pairs = (-1, 2)
        by_pair = rewards.reshape(len(rewards), *pairs, self.length)
        probability = reward_model.first_preferred(by_pair).mean(0)
        answer = 0.5 + 0.5 * np.sign(-np.diff(true.reshape(pairs))[:, 0])
        measured = {}
        for name, labels in (("train", training), ("validation", validation)):
            p = ensemble.preferences(labels.observations, labels.actions).mean(0)
            measured[f"{name}_loss"] = reward_model.cross_entropy(p, labels.preferences)
            measured[f"{name}_accuracy"] = reward_model.accuracy(p, labels.preferences)
        measured["probe_accuracy"] = reward_model.accuracy(probability, answer)
        constant = np.ptp(predicted) == 0 or np.ptp(true) == 0
        measured["reward_correlation"] = (
            float("nan") if constant else float(np.corrcoef(predicted, true)[0, 1])
        )
        accuracy = measured["train_accuracy"]
        self.train_accuracy = None if np.isnan(accuracy) else accuracy
        return measured


def _write_csv(rows: list[dict[str, Any]], columns: list[str], path: Path) -> None:
    with atomic(path) as temporary:
        pd.DataFrame(rows, columns=columns).to_csv(temporary, index=False, lineterminator="\n")


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Keep a second process from training the same run; the lock goes with the process."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / ".lock"
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = os.fstat(lock.fileno()).st_nlink == 0  # removed between opening and locking
        except BlockingIOError:
            taken = True
        if taken:
            raise RunLocked(f"{out}: another process is training this run")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


class RunLocked(RuntimeError):
    """The run's directory is in use by another process."""


def train(spec: dict[str, Any], out: str | Path, tracking: str = "none") -> None:
    """Train the run that `spec` describes and write its directory `out`; `run.json` comes last.

    The result depends on `spec` alone: not on `tracking`, the number of cores, nor on what else
    runs. Progress goes to standard output and `out/progress.json`.

    Raises RunLocked if another process is at it, and FloatingPointError, naming step and stage, if
    a reward or parameter is not finite.
    """
    out = Path(out)
    with _locked(out), threadpool_limits(1):
        record, close = tracker(tracking, spec, out)
        (out / "run.json").unlink(missing_ok=True)
        try:
            name = "{environment} {selector} seed {seed}".format(**spec)
            _train(spec, out, Reporter(name, out), record)
        finally:
            close()


def _train(
    spec: dict[str, Any],
    out: Path,
    report: Callable[[dict[str, Any]], None],
    record: Record,
) -> None:
    started, clock = time.time(), Clock()
    code = code_fingerprint(spec)  # of the files as they were when the run began
    config = spec["ppo"]
    sequences = np.random.SeedSequence(spec["seed"]).spawn(len(STREAMS))
    streams = dict(zip(STREAMS, map(np.random.default_rng, sequences), strict=True))
    steps, size = config["total_steps"], config["rollout_steps"]
    rollouts = steps // size
    with clock.stage("startup"):
        actor = Actor(spec["environment"], int(streams["environment"].integers(2**31)))
        judge = Actor(spec["environment"], int(streams["evaluation"].integers(2**31)))
        shape = actor.observation_size, actor.action_size
        policy = Policy.initial(*shape, streams["initial_policy"])
        untrained = spec["selector"] == "random_policy"
        if untrained:
            policy.parameters.flat[:] = 0
        optimiser = ppo.optimiser(policy.parameters.flat.size)
        store = SegmentStore(rollouts * size, actor.low, actor.high, shape[0])
        scale = RewardScale(config["gamma"])
        learner = (
            PreferenceLearner(spec, actor, store, rollouts, streams, clock)
            if "selection" in spec
            else None
        )
    episodes: list[dict[str, Any]] = []
    evaluations: list[dict[str, Any]] = []

    for index in range(rollouts):
        labels = learner.ledger.asked if learner else 0
        with clock.stage("environment"):
            rollout = collect(actor, policy, size, streams["exploration"], uniform=untrained)
            begin = len(episodes)
            _note_episodes(rollout, store, labels, episodes)
        if learner and index in learner.schedule:
            past = [episode["return"] for episode in episodes]
            learner.session(policy, past, *learner.schedule[index])
            labels = learner.ledger.asked
        with clock.stage("prediction"):
            rewards = rollout.rewards
            if learner:
                executed = np.clip(rollout.actions, actor.low, actor.high)
                rewards = learner.ensemble.rewards(rollout.observations, executed)
            _check(rewards, "reward", store.steps)
            rewards = scale(rewards, rollout.ended)
        losses = None
        if not untrained:
            with clock.stage("policy_update"):
                share = 1.0 - index / rollouts if config["anneal"] else 1.0
                losses = ppo.update(
                    *(policy, optimiser, ppo.batch(rollout, rewards, policy, config), config),
                    *(config["learning_rate"] * share, streams["minibatches"]),
                )
                _check(policy.parameters.flat, "policy update", store.steps)
        every = spec["evaluation"]["every"]
        if store.steps // every > (store.steps - size) // every or index == rollouts - 1:
            with clock.stage("evaluation"):
                returns = evaluate(judge, policy, spec["evaluation"]["episodes"])
            evaluations.append(
                {
                    "step": store.steps,
                    "return_mean": returns.mean(),
                    "return_sd": returns.std(ddof=1) if len(returns) > 1 else 0.0,
                    "episodes": len(returns),
                    "labels": labels,
                }
            )
        report(
            {
                "step": store.steps,
                "total_steps": rollouts * size,
                "labels": labels,
                "labels_total": spec["labels"]["total"] if learner else 0,
                "last_return": episodes[-1]["return"] if episodes else None,
            }
        )
        record(_scalars(losses, episodes[begin:], learner, evaluations), store.steps)

    import torch  # slow to import, and not needed before

    _write_csv(episodes, ["step", "return", "length", "labels"], out / "episodes.csv")
    columns = ["step", "return_mean", "return_sd", "episodes", "labels"]
    _write_csv(evaluations, columns, out / "evaluations.csv")
    if learner:
        _write_csv(learner.sessions, list(learner.sessions[0]), out / "sessions.csv")
        _write_csv(learner.timings, list(learner.timings[0]), out / "timings.csv")
        learner.ledger.save(out / "labels.npz")
        with atomic(out / "reward_model.pt") as temporary:
            torch.save(learner.ensemble.state(), temporary)
    with atomic(out / "policy.pt") as temporary:
        torch.save(policy.state(), temporary)
    past_returns = [episode["return"] for episode in episodes]
    summary = {
        "status": "complete",
        "spec": spec,
        "code": code,
        "episodes": len(episodes),
        "steps": store.steps,
        "final_return": fmean(last) if (last := past_returns[-RECENT_RETURNS:]) else None,
        "queries": learner.ledger.asked if learner else 0,
        "seconds": clock.seconds,
        **_cost(started),
        **_machine(),
    }
    with atomic(out / "run.json") as temporary:
        temporary.write_text(json.dumps(summary, indent=1, sort_keys=True) + "\n")


def _note_episodes(
    rollout: Rollout, store: SegmentStore, labels: int, episodes: list[dict[str, Any]]
) -> None:
    """Append the rollout to the store and the episodes that ended in it to the list."""
    done = len(episodes)
    store.append(rollout)
    starts, lengths, finished = (column[done:] for column in store.episodes())
    for start, length in zip(starts[finished], lengths[finished], strict=True):
        episodes.append(
            {
                "step": int(start + length),
                "return": float(store.rewards[start : start + length].sum()),
                "length": int(length),
                "labels": labels,
            }
        )


def _check(values: np.ndarray, stage: str, step: int) -> None:
    if not np.isfinite(values).all():
        raise FloatingPointError(f"step {step}: {stage} gave a value that is not finite")


def _scalars(
    losses: ppo.Losses | None,
    episodes: list[dict[str, Any]],
    learner: PreferenceLearner | None,
    evaluations: list[dict[str, Any]],
) -> dict[str, float]:
    scalars = {f"losses/{name}": value for name, value in vars(losses).items()} if losses else {}
    if episodes:
        scalars["charts/episodic_return"] = episodes[-1]["return"]
    if evaluations:
        scalars["charts/evaluation_return"] = evaluations[-1]["return_mean"]
    if learner and learner.sessions:
        latest = learner.sessions[-1]
        scalars |= {
            f"reward_model/{k}": latest[k] for k in latest if k.endswith(("loss", "accuracy"))
        }
        scalars["charts/labels"] = latest["labels"]
    return scalars


def _cost(started: float) -> dict[str, Any]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    unit = 1024 if platform.system() == "Linux" else 1024**2  # kilobytes, but bytes on macOS
    return {
        "started": started,
        "finished": time.time(),
        "wall_s": time.time() - started,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "gpu_s": 0.0,  # nothing here runs on a GPU
        "peak_rss_mb": usage.ru_maxrss / unit,
    }


def _machine() -> dict[str, Any]:
    packages = ("active-rlhf", "gymnasium", "mujoco", "numba", "numpy", "scipy", "torch")
    return {
        "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
        "host": socket.gethostname(),
        "cpu": _processor(),
        "cores": os.cpu_count(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor()
