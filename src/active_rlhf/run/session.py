"""The half of a run that asks and learns from answers."""

from collections.abc import Callable
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from active_rlhf import rewards, teachers
from active_rlhf.agents import Agent
from active_rlhf.agents.saved import bounds
from active_rlhf.behaviour.ledger import Ledger
from active_rlhf.behaviour.replays import Replays
from active_rlhf.behaviour.stacks import for_file
from active_rlhf.behaviour.store import Segments, SegmentStore
from active_rlhf.compute import precision
from active_rlhf.errors import InputError
from active_rlhf.rewards import measures
from active_rlhf.rewards.probe import MEASURES, ProbeSet
from active_rlhf.run.clock import Clock
from active_rlhf.run.finite import check
from active_rlhf.run.schedule import RECENT_RETURNS
from active_rlhf.run.streams import Streams
from active_rlhf.selection.context import Context, Selection
from active_rlhf.selection.selector import Selector
from active_rlhf.selection.vae import SegmentVAE
from active_rlhf.study.precision import precisions
from active_rlhf.study.settings import Spec
from active_rlhf.tasks import Task

CALIBRATION_SEGMENTS = 128  # on which members' outputs are scaled to mean 0 and sd 1
LEAST_CONFIDENCE = 0.01  # so that labels given with none at all still add up to something
TIE_PAIRS = 1000  # uniformly drawn pairs that fix the oracle's tie threshold

Waiting = Callable[[str], None]


def _described(selection: Selection) -> dict[str, float]:
    """How large pool and shortlist were, and the mean scores of the pool and of what was asked."""
    return {
        "pool": selection.pool_size,
        "shortlist": selection.shortlist_size,
        "score_pool": selection.score_pool,
        "score_selected": selection.score_selected,
    }


NOTHING_SELECTED = {"pool": 0, "shortlist": 0, "score_pool": nan, "score_selected": nan}


def choices(action_space: Any) -> int:
    """The size of an action in a Box [a], or the number of actions in a Discrete."""
    return int(action_space.n) if hasattr(action_space, "n") else action_space.shape[0]


def reward_model(spec: Spec, task: Task, stream: np.random.Generator) -> rewards.RewardModel:
    """The untrained reward model of a run that asks; `stream` draws its parameters."""
    assert spec.labels and spec.reward_model
    shape = task.observation_space.shape
    sizes = shape[0] if len(shape) == 1 else shape, choices(task.action_space)
    name, settings = spec.reward_model.name, spec.reward_model.settings
    clipped_to = bounds(task.action_space) if spec.labels.actions == "clipped" else None
    return rewards.build(name, settings, *sizes, stream, clipped_to)


def _loaded(path: Path, task: Task, length: int) -> ProbeSet:
    """The probe set in a file, if its segments are of this task and length."""
    probe = ProbeSet.load(path)
    found = probe.observations.shape[2:], probe.actions.shape[3:]
    needed = (length, *task.observation_space.shape), task.action_space.shape
    if found != needed:
        (steps, *seen), (wanted, *shape) = found[0], needed[0]
        raise InputError(
            f"{path}: a probe set of segments of {steps} steps, observations {tuple(seen)} and "
            f"actions {found[1]}; this run needs {wanted}, {tuple(shape)} and {needed[1]}"
        )
    return probe


class PreferenceLearner:
    """Selector, teacher, ledger and reward model of a run."""

    def __init__(
        self,
        spec: Spec,
        task: Task,
        behaviour: SegmentStore,
        streams: Streams,
        clock: Clock,
        probe: Path | None = None,
    ):
        assert spec.labels and spec.teacher and spec.reward_model and spec.selection
        self.spec, self.labels, self.length = spec, spec.labels, spec.labels.segment_length
        self.task, self.behaviour, self.streams, self.clock = task, behaviour, streams, clock
        self.model = reward_model(spec, task, streams["reward_model"])
        self.teacher = teachers.build(spec.teacher)
        self.selector = Selector(spec.selection)
        self.ledger = Ledger(spec.labels.total)
        seen = int(np.prod(task.observation_space.shape))
        self.vae = SegmentVAE(seen, self.length, streams["vae"], spec.vae) if spec.vae else None
        self.probe = _loaded(probe, task, self.length) if probe else None
        self.train_accuracy: float | None = None
        self.taught = False  # whether the model has learned any labels
        self.sessions = 0
        self.records: list[dict[str, Any]] = []
        self.timings: list[dict[str, Any]] = []

    @property
    def source(self) -> str:
        """What the policy learns from now: `learned` or, before any labels, `before_labels`."""
        return "learned" if self.taught else self.labels.before_labels

    def prepare(self) -> None:
        """Load what sessions need, as late as possible so that the first steps come sooner."""
        with self.clock.stage("startup"):
            if {*precisions(self.spec)} != {"float32"}:
                precision.load()

    def begin(self, folder: Path, stopping: Callable[[], bool], waiting: Waiting) -> None:
        """Tell the teacher where the run is: see `teachers.Place`."""
        self.teacher.begin_at(
            teachers.Place(folder, self.spec, self.behaviour, self.length, stopping, waiting)
        )

    def session(self, agent: Agent, recent_returns: list[float], asked: int, held: int) -> None:
        """Select `asked` pairs, put them to the teacher, and train on all answers so far.

        held: how many of them are held out; recent_returns: true returns of the episodes so far.
        """
        selection = self._select(agent, asked)
        with self.clock.stage("teacher"):
            arrived = self._ask(selection.pairs, recent_returns, held)
        with self.clock.stage("reward_model"):
            measured = self._learn(agent)
        self._record(self.sessions, asked, held, arrived, measured, _described(selection))
        step = self.behaviour.steps
        self.timings.append({"session": self.sessions, "step": step, **selection.seconds})
        self.sessions += 1

    def between_sessions(self, agent: Agent) -> None:
        """Train on answers that came since the last session, once there are enough of them."""
        if not self.ledger.pending or not self.teacher.has_news():
            return
        with self.clock.stage("teacher"):
            arrived = self._arrived()
        if not len(arrived):  # withdrawn in the meantime
            return
        with self.clock.stage("reward_model"):
            measured = self._learn(agent)
        self._record(self.sessions - 1, 0, 0, arrived, measured, NOTHING_SELECTED)

    def _select(self, agent: Agent, asked: int) -> Selection:
        context = self._context(agent, self.labels.oversampling * asked)
        selection = self.selector.select(context, asked)
        for stage, seconds in selection.seconds.items():
            self.clock.add(stage, seconds)
        return selection

    def _context(self, agent: Agent, pool_size: int) -> Context:
        trained, ledger, model = False, self.ledger, self.model

        def segments(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return self.behaviour.gather(ids, self.length)

        def embed(ids: np.ndarray) -> np.ndarray:
            nonlocal trained
            assert self.vae is not None and self.spec.vae is not None
            if not trained:
                count = self.spec.vae.segments
                drawn = self.behaviour.draw(self.streams["vae"], count, self.length)
                loss = self.vae.fit(Segments(self.behaviour, drawn, self.length))
                check(self.behaviour.steps, "vae", loss=loss, parameters=self.vae.parameters)
                trained = True
            return self.vae.encode(segments(ids)[0])

        return Context(
            store=self.behaviour,
            segment_length=self.length,
            pool_size=pool_size,
            segments=segments,
            member_rewards=lambda ids: model.member_rewards(*segments(ids)),
            features=lambda ids: model.features(*segments(ids)),
            embed=embed,
            log_probabilities=agent.log_probabilities,
            train_accuracy=self.train_accuracy,
            labelled=ledger.column("pairs") if ledger.asked else np.empty((0, 2), np.int64),
            answers=ledger.visible_answers(),
            session=self.sessions,
            step=self.behaviour.steps,
            candidate_generator=self.streams["candidates"],
            selector_generator=self.streams["selector"],
        )

    def _ask(self, pairs: np.ndarray, recent_returns: list[float], held: int) -> np.ndarray:
        """Put pairs to the teacher, `held` of them held out, and take available answers.

        Returns the tickets of the queries that were answered now, int64 [k].
        """
        generator = self.streams["teacher"]
        uniform = self.behaviour.draw(generator, 2 * TIE_PAIRS, self.length).reshape(-1, 2)
        returns = self.behaviour.returns(uniform, self.length)
        recent = [length for _, length in self.behaviour.finished_episodes()][-RECENT_RETURNS:]
        history = teachers.History(
            uniform_gaps=np.abs(returns[:, 0] - returns[:, 1]),
            recent_returns=np.array(recent_returns[-RECENT_RETURNS:]),
            episode_length=float(np.mean(recent)) if recent else self.task.horizon,
        )
        question = teachers.Question(
            rewards=self.behaviour.true_rewards(pairs, self.length),
            actions=self.task.executed(self.behaviour.gather(pairs, self.length)[1]),
            session=self.sessions,
            step=self.behaviour.steps,
            asked=self.ledger.asked,
            pairs=pairs,
        )
        held_out = np.zeros(len(pairs), bool)
        held_out[self.streams["split"].permutation(len(pairs))[:held]] = True
        tickets = self.ledger.ask(pairs, session=self.sessions, held_out=held_out)
        self.teacher.ask(tickets, question, history, generator)
        return self._arrived()

    def _arrived(self) -> np.ndarray:
        """Take the answers that are there into the ledger; returns their tickets, int64 [k]."""
        arrived = [np.empty(0, np.int64)]
        for answered, answers in self.teacher.collect():
            self.ledger.answer(answered, answers, self.behaviour.steps)
            arrived.append(answered)
        return np.concatenate(arrived)

    def _learn(self, agent: Agent) -> dict[str, float]:
        """Train the reward model on the answers so far; returns how well it then predicts."""
        model, ledger = self.model, self.ledger
        model.observe(agent.moments)
        training, validation = ledger.training(), ledger.validation()
        behaviour = self.behaviour.gather(training.pairs, self.length)
        if len(training.preferences):
            self.taught = True
            lesson = (*behaviour, training.preferences)
            if self.labels.weights == "confidence":
                loss = model.fit(*lesson, np.maximum(training.confidences, LEAST_CONFIDENCE))
            else:
                loss = model.fit(*lesson)
            check(
                self.behaviour.steps,
                "reward_model",
                loss=loss,
                parameters=model.parameters,
                observations=behaviour[0],
                preferences=training.preferences,
            )
        self._calibrate()
        measured = {}
        validated = self.behaviour.gather(validation.pairs, self.length)
        for name, labels, shown in (
            ("train", training, behaviour),
            ("validation", validation, validated),
        ):
            p = model.preferences(*shown).mean(0)
            measured[f"{name}_loss"] = measures.cross_entropy(p, labels.preferences)
            measured[f"{name}_accuracy"] = measures.accuracy(p, labels.preferences)
        accuracy = measured["train_accuracy"]
        self.train_accuracy = None if np.isnan(accuracy) else accuracy
        nothing = dict.fromkeys(MEASURES, float("nan"))
        return measured | (self.probe.measured(model) if self.probe else nothing)

    def _calibrate(self) -> None:
        """Scale the members' outputs alike, on segments drawn uniformly from all behaviour."""
        stream = self.streams["calibration"]
        drawn = self.behaviour.draw(stream, CALIBRATION_SEGMENTS, self.length)
        self.model.calibrate(self.model.member_rewards(*self.behaviour.gather(drawn, self.length)))

    def _record(
        self,
        session: int,
        asked: int,
        held: int,
        arrived: np.ndarray,
        measured: dict[str, float],
        selected: dict[str, float],
    ) -> None:
        self.records.append(
            {
                "session": session,
                "step": self.behaviour.steps,
                "asked": asked,
                **self.ledger.kinds(arrived),
                "pending": self.ledger.pending,
                "held_out": held,
                "labels": self.ledger.asked,
                **selected,
                **measured,
            }
        )

    def save_labels(self, path: Path) -> None:
        """Write the ledger with its pairs' observations and actions [n, 2, H, .], and the true
        returns of their segments, float64 [n, 2]; and with what it takes to repeat them, where
        observations do not show everything."""
        pairs = self.ledger.column("pairs")
        observations, actions = self.behaviour.gather(pairs, self.length)
        seen = getattr(self.task, "unobserved", None) is not None
        replays = {} if seen else Replays.of(self.behaviour, pairs, self.length).arrays()
        self.ledger.save(
            path,
            **replays,
            **for_file({"observations": observations}),
            actions=actions,
            returns=self.behaviour.returns(pairs, self.length),
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything later sessions depend on, except for the store and the random streams."""
        return {
            "model": self.model.state_dict(),
            "vae": self.vae.state_dict() if self.vae else None,
            "ledger": self.ledger.state_dict(),
            "selector": self.selector.state_dict(),
            "teacher": self.teacher.state_dict(),
            "train_accuracy": self.train_accuracy,
            "taught": self.taught,
            "sessions": self.sessions,
            "records": self.records,
            "timings": self.timings,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore this state; the store must already hold the behaviour that was asked about."""
        self.model.load_state_dict(state["model"])
        if self.vae:
            self.vae.load_state_dict(state["vae"])
        self.ledger.load_state_dict(state["ledger"])
        self.selector.load_state_dict(state["selector"])
        self.teacher.load_state_dict(state["teacher"])
        self.train_accuracy, self.taught = state["train_accuracy"], state["taught"]
        self.sessions = state["sessions"]
        self.records, self.timings = state["records"], state["timings"]
