"""The half of a run that asks and learns from answers."""

from pathlib import Path
from typing import Any

import numpy as np

from active_rlhf import rewards as reward_models
from active_rlhf import teachers
from active_rlhf.agents.policy import Policy
from active_rlhf.behaviour.ledger import Ledger
from active_rlhf.behaviour.store import Segments, SegmentStore
from active_rlhf.rewards import measures
from active_rlhf.run.clock import Clock
from active_rlhf.run.finite import check
from active_rlhf.run.schedule import RECENT_RETURNS, Plan
from active_rlhf.selection.composition import Context, needs_latents, select
from active_rlhf.selection.vae import SegmentVAE
from active_rlhf.tasks.rollout import Actor

TIE_PAIRS = 1000  # uniformly drawn pairs that fix the oracle's tie threshold


class PreferenceLearner:
    """Selector, teacher, ledger and reward ensemble of a run."""

    def __init__(
        self,
        spec: dict[str, Any],
        actor: Actor,
        store: SegmentStore,
        streams: dict[str, np.random.Generator],
        clock: Clock,
    ):
        labels = spec["labels"]
        self.spec, self.store, self.streams, self.clock = spec, store, streams, clock
        self.length = labels["segment_length"]
        self.episode_length = actor.episode_length
        sizes = actor.observation_size, actor.action_size
        given = dict(spec["reward_model"])
        self.ensemble = reward_models.build(
            given.pop("name", "mlp"), given, *sizes, streams["reward_model"]
        )
        self.teacher = teachers.build(spec["teacher"])
        self.ledger = Ledger(labels["total"])
        plan = Plan.of(spec)
        sessions = zip(plan.when, plan.queries, plan.held_out, strict=True)
        self.schedule = {rollout: (asked, held) for rollout, asked, held in sessions}
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
        store, labels = self.store, self.spec["labels"]
        selection = select(
            self.spec["selection"], self._context(policy, labels["oversampling"] * queries), queries
        )
        for stage, seconds in selection.seconds.items():
            self.clock.add(stage, seconds)
        with self.clock.stage("teacher"):
            answers = self._ask(selection.pairs, recent_returns)
        held_out = np.zeros(queries, bool)
        held_out[self.streams["split"].permutation(queries)[:held]] = True
        self.ledger.record(
            pairs=selection.pairs,
            answers=answers,
            session=len(self.sessions),
            held_out=held_out,
        )
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

    def save_labels(self, path: Path) -> None:
        """Write the ledger with what its pairs show, observations and actions [n, 2, H, .]."""
        observations, actions = self.store.gather(self.ledger.column("pairs"), self.length)
        self.ledger.save(path, observations=observations, actions=actions)

    def state_dict(self) -> dict[str, Any]:
        """All that later sessions depend on, but for the store and the random streams."""
        return {
            "ensemble": self.ensemble.state_dict(),
            "vae": self.vae.state_dict() if self.vae else None,
            "ledger": self.ledger.state_dict(),
            "train_accuracy": self.train_accuracy,
            "sessions": self.sessions,
            "timings": self.timings,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there; the store must hold the behaviour that was asked about."""
        self.ensemble.load_state_dict(state["ensemble"])
        if self.vae:
            self.vae.load_state_dict(state["vae"])
        self.ledger.load_state_dict(state["ledger"])
        self.train_accuracy = state["train_accuracy"]
        self.sessions, self.timings = state["sessions"], state["timings"]

    def _context(self, policy: Policy, pool_size: int) -> Context:
        trained, ledger = False, self.ledger

        def latents(ids: np.ndarray) -> np.ndarray:
            nonlocal trained
            assert self.vae is not None
            if not trained:
                count = self.spec["vae"]["segments"]
                drawn = self.store.draw(self.streams["vae"], count, self.length)
                loss = self.vae.fit(Segments(self.store, drawn, self.length))
                check(self.store.steps, "vae", loss=loss, parameters=self.vae.flat)
                trained = True
            return self.vae.encode(self.store.gather(ids, self.length)[0])

        return Context(
            store=self.store,
            segment_length=self.length,
            pool_size=pool_size,
            log_probabilities=policy.log_probabilities,
            member_rewards=self.ensemble.member_rewards,
            train_accuracy=self.train_accuracy,
            labelled=ledger.column("pairs") if ledger.asked else np.empty((0, 2), np.int64),
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
            actions=self.store.executed(pairs, self.length),
        )
        return self.teacher(question, history, generator)

    def _learn(self, policy: Policy) -> dict[str, float]:
        ensemble, probe_stream = self.ensemble, self.streams["probe"]
        ensemble.observe(policy.moments)
        training, validation = self.ledger.training(), self.ledger.validation()
        behaviour = self.store.gather(training.pairs, self.length)
        if len(training.preferences):
            loss = ensemble.fit(*behaviour, training.preferences)
            check(
                self.store.steps,
                "reward_model",
                **{"loss": loss, "parameters": ensemble.parameters},
                observations=behaviour[0],
                preferences=training.preferences,
            )
        # Uniform over all behaviour, hence the same measure for every selector.
        drawn = self.store.draw(probe_stream, 2 * self.spec["labels"]["probe_pairs"], self.length)
        observations, actions = self.store.gather(drawn, self.length)
        rewards = ensemble.member_rewards(observations, actions)
        ensemble.calibrate(rewards)
        predicted = ensemble.combined(rewards).sum(-1)
        true = self.store.returns(drawn, self.length)
        pairs = (-1, 2)
        by_pair = rewards.reshape(len(rewards), *pairs, self.length)
        probability = measures.first_preferred(by_pair).mean(0)
        answer = 0.5 + 0.5 * np.sign(-np.diff(true.reshape(pairs))[:, 0])
        measured = {}
        validated = self.store.gather(validation.pairs, self.length)
        for name, labels, shown in (
            ("train", training, behaviour),
            ("validation", validation, validated),
        ):
            p = ensemble.preferences(*shown).mean(0)
            measured[f"{name}_loss"] = measures.cross_entropy(p, labels.preferences)
            measured[f"{name}_accuracy"] = measures.accuracy(p, labels.preferences)
        measured["probe_accuracy"] = measures.accuracy(probability, answer)
        measured["reward_correlation"] = measures.correlation(predicted, true)
        accuracy = measured["train_accuracy"]
        self.train_accuracy = None if np.isnan(accuracy) else accuracy
        return measured
