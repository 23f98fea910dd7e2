"""The compiled rollout against gymnasium itself."""

import gymnasium
import numpy as np
import pytest

from active_rlhf.agents.policy import Policy
from active_rlhf.tasks import gym as environments
from active_rlhf.tasks.rollout import Actor, collect, evaluate

ROBOTS = list(environments.ENVIRONMENTS)


def start(name: str, compiled: bool = True) -> tuple[Actor, Policy]:
    actor = Actor(name, 7, compiled)
    sizes = actor.observation_size, actor.action_size
    return actor, Policy.initial(*sizes, np.random.default_rng(0))


@pytest.mark.parametrize("name", ROBOTS)
def test_rollout_replays_in_gymnasium_bit_for_bit(name):
    actor, policy = start(name)
    generator = np.random.default_rng(1)
    rollouts = [collect(actor, policy, 1100, generator) for _ in range(2)]

    env, limit = environments.make(name)
    env = gymnasium.wrappers.TimeLimit(env, limit)
    seen = gymnasium.wrappers.utils.RunningMeanStd(shape=(actor.observation_size,))
    observation, _ = env.reset(seed=7)
    seen.update(observation[None])
    for rollout in rollouts:
        for t in range(1100):
            np.testing.assert_array_equal(observation.astype(np.float32), rollout.observations[t])
            expected = np.clip((observation - seen.mean) / np.sqrt(seen.var + 1e-8), -10, 10)
            np.testing.assert_allclose(rollout.normalised[t], expected, rtol=1e-5, atol=1e-6)
            action = np.clip(rollout.actions[t], actor.low, actor.high).astype(np.float64)
            observation, reward, terminated, truncated, _ = env.step(action)
            assert reward == rollout.rewards[t]
            assert not terminated and truncated == rollout.ended[t]
            seen.update(observation[None])
            # At an end this is the final observation, not the first of the next episode.
            expected = np.clip((observation - seen.mean) / np.sqrt(seen.var + 1e-8), -10, 10)
            np.testing.assert_allclose(rollout.following[t], expected, rtol=1e-5, atol=1e-6)
            if truncated:
                observation, _ = env.reset()
                seen.update(observation[None])
    np.testing.assert_allclose(policy.moments.mean, seen.mean, rtol=1e-9)
    np.testing.assert_allclose(policy.moments.var, seen.var, rtol=1e-9)
    assert policy.moments.count[0] == pytest.approx(2200 + 3, abs=1e-3)


@pytest.mark.parametrize("name", ROBOTS)
def test_compiled_and_gymnasium_paths_agree_until_chaos_sets_in(name):
    (compiled, policy_a), (plain, policy_b) = start(name), start(name, compiled=False)
    a = collect(compiled, policy_a, 20, np.random.default_rng(1))
    b = collect(plain, policy_b, 20, np.random.default_rng(1))
    np.testing.assert_allclose(a.actions, b.actions, atol=1e-4)
    np.testing.assert_allclose(a.rewards, b.rewards, atol=1e-3)


def test_any_box_environment_runs_and_termination_is_told_from_truncation():
    actor, policy = start("InvertedPendulum-v5")
    rollout = collect(actor, policy, 300, np.random.default_rng(1))
    assert rollout.ended.any() and (rollout.terminated == rollout.ended).all()
    actor, policy = start("Pendulum-v1")
    rollout = collect(actor, policy, 500, np.random.default_rng(1))
    assert np.flatnonzero(rollout.ended).tolist() == [199, 399] and not rollout.terminated.any()


def test_evaluation_is_the_mean_action_in_gymnasium_and_leaves_the_policy_alone():
    actor, policy = start("Hopper-v5")
    collect(actor, policy, 500, np.random.default_rng(1))
    before = [value.copy() for value in policy.moments]
    returns = evaluate(Actor("Hopper-v5", 3), policy, 1)
    for value, old in zip(policy.moments, before, strict=True):
        np.testing.assert_array_equal(value, old)

    env, limit = environments.make("Hopper-v5")
    env.reset(seed=3)
    observation, _ = env.reset()
    total = 0.0
    for _ in range(limit):
        action = np.clip(policy.mean_action(observation[None])[0], actor.low, actor.high)
        observation, reward, *_ = env.step(action.astype(np.float64))
        total += reward
    assert returns[0] == pytest.approx(total, rel=0.05)  # one rounding apart at every step


def test_rollouts_do_not_depend_on_how_they_are_cut():
    (actor_a, policy_a), (actor_b, policy_b) = start("Hopper-v5"), start("Hopper-v5")
    whole = collect(actor_a, policy_a, 1200, np.random.default_rng(1))
    generator = np.random.default_rng(1)
    parts = [collect(actor_b, policy_b, 400, generator) for _ in range(3)]
    for name in ("observations", "actions", "rewards", "ended", "following"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(getattr(whole, name), joined)


@pytest.mark.parametrize("name, message", [("NoSuch-v5", "NoSuch"), ("CartPole-v1", "Box action")])
def test_unsuitable_environments_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        environments.make(name)
