"""The algorithm of one run: act, ask, learn the reward, improve the policy."""

from pathlib import Path
from typing import Any

import numpy as np

from active_rlhf import agents, tasks
from active_rlhf.agents.reward_scaling import RewardScale
from active_rlhf.behaviour.store import Origin, SegmentStore, schema
from active_rlhf.run.clock import Clock, Cost
from active_rlhf.run.finite import check, check_behaviour
from active_rlhf.run.schedule import Plan, lanes
from active_rlhf.run.session import PreferenceLearner
from active_rlhf.run.starting import start
from active_rlhf.run.streams import streams
from active_rlhf.run.tracking import scalars
from active_rlhf.study.settings import Spec
from active_rlhf.tasks.rollout import Rollout


class Run:
    """A run in progress; `advance` is one turn of the algorithm.

    probe: the file of the probe set that the reward model is measured on, if there is one.
    """

    def __init__(self, spec: Spec, probe: Path | None = None):
        self.spec, self.plan = spec, Plan.of(spec)
        self.clock, self.cost, self.streams = Clock(), Cost(), streams(spec.seed)
        with self.clock.stage("startup"):
            self.task, origins = self._task(lanes(spec.agent))
            self.judge = tasks.build(spec, self.streams["evaluation"])
            self.agent = agents.build(spec, self.task, self.streams["initial_policy"])
            self.started_from = start(self.agent, spec) if spec.start_from else None
            many = len(origins)
            self.behaviour = SegmentStore(self.plan.steps, schema(self.task), many, origins)
            # One for each kind of reward: true returns may be of any size, and after the swap their
            # statistics would keep learned rewards small for as long as they had been gathered.
            discount = self.agent.discount
            self.scales = {kind: RewardScale.of(discount, many) for kind in ("true", "learned")}
            self.learner = (
                PreferenceLearner(spec, self.task, self.behaviour, self.streams, self.clock, probe)
                if spec.labels
                else None
            )
        self.done = 0  # rollouts
        self.earned = [0.0] * many  # learned rewards of the current episode of each environment
        self.episodes: list[dict[str, Any]] = []
        self.evaluations: list[dict[str, Any]] = []

    def _task(self, lanes: int) -> tuple[Any, list[Origin]]:
        """One environment, or several in step, and what their first episodes start from."""
        if lanes == 1:
            task = tasks.build(self.spec, self.streams["environment"])
            return task, [task.origin]
        vector = tasks.build_vector(self.spec, self.streams["environment"], lanes)
        return vector, vector.origins

    @property
    def labels(self) -> int:
        """Queries asked so far."""
        return self.learner.ledger.asked if self.learner else 0

    def may_wait(self) -> bool:
        """Whether the next turn may wait long for its teacher."""
        asks = self.plan.session_after(self.done) is not None
        return asks and self.learner is not None and self.learner.teacher.waits

    def advance(self) -> dict[str, float]:
        """Act for a rollout, ask if it is time, improve the policy; returns scalars to track."""
        known = len(self.episodes)
        rollout = self._act()
        if self.learner:
            self.learner.prepare()
            if asking := self.plan.session_after(self.done):
                returns = [episode["return"] for episode in self.episodes]
                self.learner.session(self.agent, returns, *asking)
            else:
                self.learner.between_sessions(self.agent)
        rewards = self._rewards(rollout)
        losses = {} if rewards is None else self._improve(rollout, rewards)
        self.done += 1
        if self.plan.evaluates_after(self.done, self.spec.evaluation.every):
            self._evaluate()
        return scalars(losses, self.episodes[known:], self.evaluations, self.learner)

    def _act(self) -> Rollout:
        """Collect a rollout into the store of behaviour, and record episodes that ended."""
        with self.clock.stage("environment"):
            rollout = self.agent.act(self.task, self.plan.size, self.streams["exploration"])
            now = self.task.observation if rollout.lanes == 1 else self.task.observations
            check_behaviour(self.behaviour.steps, rollout, now)
            self.behaviour.append(rollout)
            for start, length in self.behaviour.finished_episodes(since=len(self.episodes)):
                value = float(self.behaviour.rewards[start : start + length].sum())
                step = self.behaviour.step_of(start + length - 1) + 1
                self._note(self.episodes, step, {"return": value, "length": length})
        return rollout

    def _rewards(self, rollout: Rollout) -> np.ndarray | None:
        """The policy's rewards [T]: the reward model's or, without one, the true ones.

        Before the first labels, those that `labels.before_labels` names; None for none.
        """
        source = self.learner.source if self.learner else "true_reward"
        if self.learner and source in ("true_reward", "none"):
            self._earn(rollout, np.full(len(rollout.ended), np.nan))
        if source == "none":
            return None
        with self.clock.stage("prediction"):
            seen, rewards, scale = rollout.observations, rollout.rewards, self.scales["true"]
            if self.learner and source != "true_reward":
                rewards = self.learner.model.rewards(seen, rollout.actions)
                scale = self.scales["learned"]
                self._earn(rollout, rewards)
            check(self.behaviour.steps, "prediction", rewards=rewards, inputs=seen)
            return scale(rewards, rollout.ended)

    def _earn(self, rollout: Rollout, rewards: np.ndarray) -> None:
        """Note the learned return of each episode that ended in a rollout of learned rewards [T];
        NaN where some of them are missing, as the policy learned from others."""
        found, each = [], len(rewards) // rollout.lanes
        for lane in range(rollout.lanes):
            mine = slice(lane * each, (lane + 1) * each)
            ends = np.flatnonzero(rollout.ended[mine]) + 1
            *whole, rest = np.split(rewards[mine], ends)
            for end, part in zip(ends, whole, strict=True):
                found.append((end, lane, self.earned[lane] + float(part.sum())))
                self.earned[lane] = 0.0
            self.earned[lane] += float(rest.sum())
        ended = self.episodes[len(self.episodes) - len(found) :]  # in the order of time
        for (*_, value), episode in zip(sorted(found), ended, strict=True):
            episode["learned_return"] = value

    def _improve(self, rollout: Rollout, rewards: np.ndarray) -> dict[str, float]:
        """Let the agent learn; returns its losses."""
        with self.clock.stage("policy_update"):
            progress = self.done / self.plan.rollouts
            learned = self.agent.learn(rollout, rewards, progress, self.streams["minibatches"])
            losses = {f"{name}_loss": value for name, value in learned.losses.items()}
            check(self.behaviour.steps, "policy_update", **learned.arrays, **losses)
        return learned.losses

    def _evaluate(self) -> None:
        with self.clock.stage("evaluation"):
            returns = agents.evaluate(self.agent, self.judge, self.spec.evaluation.episodes)
            check(self.behaviour.steps, "evaluation", returns=returns)
        sd = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
        measured = {"return_mean": float(returns.mean()), "return_sd": sd}
        measured["episodes"] = len(returns)
        self._note(self.evaluations, self.behaviour.steps, measured)

    def _note(self, table: list[dict[str, Any]], step: int, measured: dict[str, Any]) -> None:
        table.append({"step": step, **measured, "labels": self.labels})
