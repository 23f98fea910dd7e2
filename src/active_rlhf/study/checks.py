"""Whether a run is possible: settings that are each valid may not work together."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from statistics import median
from typing import Any

from active_rlhf import parts
from active_rlhf.agents.pictures import unsuitable
from active_rlhf.errors import InputError, line
from active_rlhf.run.schedule import first_session, held_out_per_session, lanes, rollout_steps
from active_rlhf.study.messages import ConfigError, Sources, closest
from active_rlhf.study.settings import Composition, EnvironmentSettings

RANDOM_EPISODES = 20  # to see how long they last
EPISODE_STEPS = {
    **{"HalfCheetah-v5": 1000, "Hopper-v5": 1000, "Walker2d-v5": 1000, "Ant-v5": 1000},
    **{"CartPoleStandard-v0": 500, "CartPoleBalanced-v0": 500},
}


def check_run(
    environment: str,
    settings: EnvironmentSettings,
    compositions: Sequence[Composition],
    asks: bool,
    sources: Sources,
) -> None:
    """Refuse settings under which runs of an environment cannot work.

    compositions: those of the selectors in question; asks: whether any of them asks for labels; if
    not, the settings of labels are not checked.
    """

    def fail(key: str, message: str) -> None:
        sources.fail(tuple(key.split(".")), f"{message} ({environment})")

    episode = _episode_steps(environment, settings.options, sources)
    _check_agent(environment, settings, fail)
    shape = _shape(environment, settings.options)
    pictures = len(shape) > 1
    rollout, steps = rollout_steps(settings.agent), settings.total_steps
    if steps < rollout:
        fail("total_steps", f"{steps} is less than one rollout of {rollout} steps")
    if minibatches := settings.agent.settings.get("minibatches"):
        if rollout % minibatches:
            fail("agent.minibatches", f"{minibatches} does not divide rollout_steps = {rollout}")
        if rollout == minibatches:
            fail("agent.minibatches", f"{rollout} leaves one step each, which cannot be normalised")
    if not asks:
        return

    labels = settings.labels
    total, initial, sessions = labels.total, labels.initial, labels.sessions
    if initial > total:
        fail("labels.initial", f"{initial} is more than labels.total = {total}")
    if sessions > total:
        fail("labels.sessions", f"{sessions} sessions cannot share labels.total = {total} queries")
    if sessions == 1 and initial != total:
        fail("labels.initial", f"one session asks all {total} queries at once, not {initial}")
    if total - initial < sessions - 1:
        fail(
            "labels.sessions",
            f"{total - initial} queries are left after the first session, "
            f"too few for {sessions - 1} more sessions",
        )
    rollouts, waits = steps // rollout, labels.first_after
    first_one = first_session(rollouts, waits)
    if first_one == 0 and labels.before_labels != "untrained":
        fail(
            "labels.before_labels",
            f"nothing comes before the labels, as the first of {rollouts} rollouts ends in a "
            f"session; raise labels.first_after = {waits}, or leave this out",
        )
    left = rollouts - first_one
    if sessions > left:
        why = f", as labels.first_after = {waits} leaves of {rollouts}" if left < rollouts else ""
        fail("labels.sessions", f"{sessions} is more than the {left} rollouts{why}")
    first, later = held_out_per_session([initial, total - initial], labels.validation_fraction)
    share = f"{labels.validation_fraction} of {total} queries"
    if first + later == 0 < labels.validation_fraction:
        fail("labels.validation_fraction", f"{share} leaves none for validation; 0 means none")
    if first == initial:
        fail("labels.validation_fraction", f"{share} leaves the first session none to train on")
    length = labels.segment_length
    if length >= min(episode, rollout):
        fail(
            "labels.segment_length",
            f"{length} must be less than an episode ({episode} steps) and a rollout ({rollout})",
        )
    several = lanes(settings.agent)
    begun = (first_session(rollouts, waits) + 1) * rollout // several
    if length >= begun:
        fail(
            "labels.segment_length",
            f"{length} must be less than the {begun} steps that each of {several} environments "
            f"has taken by the first session; raise labels.first_after = {waits}",
        )
    if environment not in EPISODE_STEPS or settings.options:
        seen = _random_episodes(environment, json.dumps(settings.options), length)
        if max(seen) < length + 1:
            longest, typical = max(seen), int(median(seen))
            fail(
                "labels.segment_length",
                f"under random actions episodes last {min(seen)} to {longest} steps, so that none "
                f"holds two segments of {length}; set at most {max(1, typical - 1)}",
            )
    model = settings.reward_model.name
    if parts.part("reward_model", model).has("pictures", {}) != pictures:
        observed = f"pictures {shape}" if pictures else f"{shape[0]} numbers"
        kind, other = ("flat observations", "cnn") if pictures else ("pictures", "mlp")
        fail(
            "reward_model.name", f"{model} takes {kind}, and this observes {observed}; use {other}"
        )
    if pictures:
        _check_pictures(shape, settings, compositions, fail)
    wanting = [part for composition in compositions for part in uses_features(composition)]
    if wanting and not hasattr(parts.part("reward_model", model).make, "features"):
        fail("reward_model", f"{model} has no features(observations, actions) for {wanting[0]}")
    latents = any(map(uses_latents, compositions))
    if latents and settings.vae.batch_size > settings.vae.segments:
        fail("vae.batch_size", f"more than vae.segments = {settings.vae.segments}")


def _check_pictures(
    shape: tuple[int, ...],
    settings: EnvironmentSettings,
    compositions: Sequence[Composition],
    fail: Callable[[str, str], None],
) -> None:
    """Refuse what does not work on pictures of this shape."""
    from active_rlhf.selection.composition import declaring

    if any(map(uses_latents, compositions)):
        fail("selectors", "the VAE takes flat observations, so selectors with latents do not work")
    for composition in compositions:
        for one in declaring("flat", composition.model_dump()):
            fail("selectors", f"{one} compares flat observations, and these are pictures")
    import numpy as np

    model, given = settings.reward_model.name, settings.reward_model.settings
    try:
        parts.part("reward_model", model).build(given, shape, 1, np.random.default_rng(0))
    except parts.PartError:
        raise
    except InputError as error:
        key, _, message = line(error).partition(": ")
        fail(key, message)


def _check_agent(
    environment: str, settings: EnvironmentSettings, fail: Callable[[str, str], None]
) -> None:
    """Refuse networks that cannot see what there is, and rollouts that cannot be shared."""
    agent = settings.agent
    if network := agent.settings.get("network"):
        shown = environment in EPISODE_STEPS and not settings.options
        observed = None if shown else _observation_space(environment, json.dumps(settings.options))
        if why := unsuitable(network, observed):
            fail("agent.network", why)
    rollout, several = rollout_steps(agent), lanes(agent)
    if rollout % several:
        fail("agent.environments", f"{several} does not divide rollout_steps = {rollout}")


def uses_latents(composition: Composition) -> bool:
    """Whether a selector uses VAE latents, in which case its runs train a VAE."""
    from active_rlhf.selection.composition import needs_latents

    return needs_latents(composition.model_dump())


def uses_features(composition: Composition) -> list[str]:
    """The parts of a selector that look at the reward model's last hidden layer."""
    from active_rlhf.selection.composition import declaring

    return declaring("features", composition.model_dump())


def _episode_steps(environment: str, options: dict[str, Any] | None, sources: Sources) -> int:
    """Steps of an episode; asks gymnasium only for environments the package does not ship."""
    if environment in EPISODE_STEPS and not options:
        return EPISODE_STEPS[environment]
    from active_rlhf.tasks.atari import is_atari

    where = sources.where(("environments", environment))
    if parts.declared("task", environment):
        try:
            return int(parts.part("task", environment).build(options or {}, 0).horizon)
        except parts.PartError:
            raise
        except InputError as error:
            raise ConfigError(f"{where}: options.{line(error)}") from error
    if is_atari(environment):
        return _horizon_of_game(environment, json.dumps(options), where)
    return _horizon(environment, json.dumps(options), where)


def _shape(environment: str, options: dict[str, Any] | None) -> tuple[int, ...]:
    """The shape of an observation; of robots and CartPoles just that it is flat."""
    if environment in EPISODE_STEPS:
        return (1,)
    shape = _observation_space(environment, json.dumps(options)).shape
    return tuple(map(int, shape))


@cache
def _observation_space(environment: str, options: str) -> Any:
    from active_rlhf.tasks import made

    return made(environment, 0, json.loads(options)).observation_space


@cache
def _random_episodes(environment: str, options: str, length: int) -> list[int]:
    """Lengths of some episodes under random actions, up to the first that is longer than `length`.

    An early policy lasts no longer, so these show whether the first session will find segments.
    """
    from active_rlhf.tasks import made

    task = made(environment, 0, json.loads(options))
    lengths: list[int] = []
    task.action_space.seed(0)
    while len(lengths) < RANDOM_EPISODES and max(lengths, default=0) <= length:
        task.reset()
        ended = False
        while not ended and task.elapsed <= length:
            action = task.action_space.sample()
            _, terminated, truncated = task.step(action - getattr(task.action_space, "start", 0))
            ended = terminated or truncated
        lengths.append(task.elapsed)
    return lengths


@cache
def _horizon_of_game(environment: str, options: str, where: str) -> int:
    from active_rlhf.tasks.atari import AtariTask, rom

    try:
        rom(environment)
    except InputError as error:
        raise ConfigError(f"{where}: {line(error)}") from error
    try:
        return AtariTask(environment, 0, json.loads(options)).horizon
    except InputError as error:
        raise ConfigError(f"{where}: options.{line(error)}") from error


@cache
def _horizon(environment: str, options: str, where: str) -> int:
    import gymnasium

    from active_rlhf.tasks import cartpole
    from active_rlhf.tasks.gym import make

    cartpole.register()
    if environment not in gymnasium.registry and ":" not in environment:
        close = closest(environment, [*EPISODE_STEPS, *gymnasium.registry])
        raise ConfigError(
            f"{where}: unknown environment {environment!r}{close}; shipped: "
            f"{', '.join(EPISODE_STEPS)}; other gymnasium ids with Box observations work too"
        )
    try:
        env, horizon = make(environment, json.loads(options))
    except Exception as error:  # its package may raise anything
        raise ConfigError(f"{where}: {line(error)}") from error
    env.close()
    return horizon
