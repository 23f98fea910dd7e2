"""Tasks and compiled rollouts against gymnasium itself."""

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.envs.mujoco.hopper_v5 import HopperEnv
from gymnasium.spaces import Box

from active_rlhf.agents import evaluate
from active_rlhf.agents.ppo.agent import CompiledPPO
from active_rlhf.agents.ppo.settings import PPOSettings
from active_rlhf.tasks import NotReproducible
from active_rlhf.tasks.gym import ENVIRONMENTS, GymTask, make
from active_rlhf.tasks.rollout import collect

ROBOTS = [name for name in ENVIRONMENTS if name.endswith("-v5")]
FALLS = {"terminate_when_unhealthy": True}


def start(name, compiled=True, options=None, task=True):
    task = GymTask(name, 7, options, compiled)
    return task, CompiledPPO(task, PPOSettings(), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "options"), [*((name, {}) for name in ROBOTS), *((name, FALLS) for name in ROBOTS[1:])]
)
def test_rollout_replays_in_gymnasium_bit_for_bit(name, options):
    task, agent = start(name, options=options)
    assert task.fused is not None
    stream = np.random.default_rng(1)
    rollouts = [agent.act(task, 1100, stream) for _ in range(2)]

    env, horizon = make(name, options)
    assert horizon == 1000
    seen = gymnasium.wrappers.utils.RunningMeanStd(shape=env.observation_space.shape)
    observation, _ = env.reset(seed=7)
    seen.update(observation[None])
    finals, ends = [], 0
    for rollout in rollouts:
        for t in range(1100):
            np.testing.assert_array_equal(observation.astype(np.float32), rollout.observations[t])
            expected = np.clip((observation - seen.mean) / np.sqrt(seen.var + 1e-8), -10, 10)
            np.testing.assert_allclose(rollout.normalised[t], expected, rtol=1e-5, atol=1e-6)
            action = np.clip(rollout.actions[t], task.low, task.high).astype(np.float64)
            observation, reward, terminated, truncated, _ = env.step(action)
            assert reward == rollout.rewards[t]
            assert (terminated or truncated) == rollout.ended[t]
            assert terminated == rollout.terminated[t]
            seen.update(observation[None])
            # At an end this is the final observation, not the first of the next episode.
            expected = np.clip((observation - seen.mean) / np.sqrt(seen.var + 1e-8), -10, 10)
            np.testing.assert_allclose(rollout.following[t], expected, rtol=1e-5, atol=1e-6)
            if terminated or truncated:
                finals.append(observation.astype(np.float32))
                observation, _ = env.reset()
                seen.update(observation[None])
                ends += 1
    assert ends == 2 if not options else ends > 2
    np.testing.assert_array_equal(np.concatenate([r.finals for r in rollouts]), finals)
    np.testing.assert_allclose(agent.moments.mean, seen.mean, rtol=1e-9)
    np.testing.assert_allclose(agent.moments.var, seen.var, rtol=1e-9)
    assert agent.moments.count[0] == pytest.approx(2200 + 1 + ends, abs=1e-3)


@pytest.mark.parametrize("name", ROBOTS)
def test_compiled_and_gymnasium_paths_agree_until_chaos_sets_in(name):
    (fused, agent_a), (plain, agent_b) = start(name), start(name, compiled=False)
    assert fused.fused is not None and plain.fused is None
    a = agent_a.act(fused, 20, np.random.default_rng(1))
    b = agent_b.act(plain, 20, np.random.default_rng(1))
    np.testing.assert_allclose(a.actions, b.actions, atol=1e-4)
    np.testing.assert_allclose(a.rewards, b.rewards, atol=1e-3)


def test_a_robot_registered_anew_ends_where_gymnasium_ends_it():
    """Which the robots shipped here do not: their episodes all last 1000 steps."""
    gymnasium.register("Falling-v0", HopperEnv, max_episode_steps=1000)
    task, agent = start("Falling-v0")
    assert task.fused is not None
    ended = np.flatnonzero(agent.act(task, 2000, np.random.default_rng(1)).terminated)
    assert len(ended) > 10 and np.diff(ended).max() < 500
    assert not start("Hopper-v5")[1].act(GymTask("Hopper-v5", 7), 999, None).ended.any()


class HalfReward(gymnasium.RewardWrapper):
    def reward(self, reward):
        return reward / 2


class Timid(gymnasium.ActionWrapper):
    def action(self, action):
        return 0.1 * action


def test_wrappers_of_a_registered_environment_are_respected():
    gymnasium.register("Timid-v0", lambda: Timid(HalfReward(HopperEnv())), max_episode_steps=40)
    task, agent = start("Timid-v0")
    assert task.fused is None
    rollout = agent.act(task, 100, np.random.default_rng(1))
    env = gymnasium.wrappers.TimeLimit(Timid(HalfReward(HopperEnv())), 40)
    env.reset(seed=7)
    for t in range(100):
        action = np.clip(rollout.actions[t], task.low, task.high).astype(np.float64)
        _, reward, terminated, truncated, _ = env.step(action)
        assert reward == rollout.rewards[t]
        assert (terminated or truncated) == rollout.ended[t]
        if terminated or truncated:
            env.reset()
    bare = HopperEnv()
    bare.reset(seed=7)
    action = np.clip(rollout.actions[0], task.low, task.high).astype(np.float64)
    assert bare.step(0.1 * action)[1] / 2 == rollout.rewards[0] != bare.step(action)[1]


def test_options_are_gymnasiums_keyword_arguments():
    light, usual = (GymTask("HalfCheetah-v5", 7, o) for o in ({"ctrl_cost_weight": 0.0}, {}))
    action = np.ones(6, np.float32)
    assert light.step(action)[0] == pytest.approx(usual.step(action)[0] + 0.6)
    assert GymTask("Hopper-v5", 7, {"max_episode_steps": 30}).horizon == 30
    with pytest.raises(ValueError, match=r"'Hopper-v5' cannot be made: .*unheard"):
        GymTask("Hopper-v5", 7, {"unheard_of": 1})


def test_any_box_environment_runs_and_termination_is_told_from_truncation():
    task, agent = start("InvertedPendulum-v5")
    rollout = agent.act(task, 300, np.random.default_rng(1))
    assert rollout.ended.any() and (rollout.terminated == rollout.ended).all()
    task, agent = start("Pendulum-v1")
    rollout = agent.act(task, 500, np.random.default_rng(1))
    assert np.flatnonzero(rollout.ended).tolist() == [199, 399] and not rollout.terminated.any()
    task, agent = start("Pendulum-v1")  # an end with the very last step is one too
    assert agent.act(task, 200, np.random.default_rng(1)).ended[-1]


class Unbounded(gymnasium.Env):
    """Nothing limits its actions."""

    observation_space = Box(-np.inf, np.inf, (2,))
    action_space = Box(-np.inf, np.inf, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.full(2, action[0], np.float32), float(action[0]), False, False, {}


def test_boxes_without_bounds_clip_nothing():
    gymnasium.register("Unbounded-v0", Unbounded, max_episode_steps=20)
    task = GymTask("Unbounded-v0", 0)
    assert task.step(np.array([1e6], np.float32))[0] == 1e6
    rollout = CompiledPPO(task, PPOSettings(), np.random.default_rng(0)).act(
        task, 100, np.random.default_rng(1)
    )
    np.testing.assert_array_equal(rollout.rewards, rollout.actions[:, 0].astype(float))


def test_discrete_actions_and_frames_keep_their_types():
    class Frames(gymnasium.Env):
        observation_space = Box(0, 255, (4, 3), np.uint8)
        action_space = gymnasium.spaces.Discrete(3, start=5)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return self.observation_space.sample(), {}

        def step(self, action):
            return self.observation_space.sample(), float(action), False, False, {}

    gymnasium.register("Frames-v0", Frames, max_episode_steps=20)
    task = GymTask("Frames-v0", 0)
    rollout = collect(task, 50, lambda observation, t: np.int64(t % 3))
    assert rollout.observations.dtype == np.uint8 and rollout.actions.dtype == np.int64
    np.testing.assert_array_equal(rollout.rewards, 5 + np.arange(50) % 3)
    assert rollout.finals.shape == (2, 4, 3) and len(rollout.origins) == 2


def test_an_episode_can_be_begun_again_from_its_origin():
    task, agent = start("Hopper-v5")
    rollout = agent.act(task, 2100, np.random.default_rng(1))
    again = GymTask("Hopper-v5", 99)
    again.stream.bit_generator.state = rollout.origins[0]
    again.reset()
    for t in range(1000, 1200):
        np.testing.assert_array_equal(again.observation.astype(np.float32), rollout.observations[t])
        assert again.step(rollout.actions[t])[0] == rollout.rewards[t]
    state = task.state_dict()
    episode = slice(2000, 2100)
    other = GymTask("Hopper-v5", 5)
    other.load_state_dict(state, rollout.actions[episode], rollout.rewards[episode])
    np.testing.assert_array_equal(other.observation, task.observation)
    assert other.elapsed == task.elapsed == 100
    with pytest.raises(NotReproducible):
        GymTask("Hopper-v5", 5).load_state_dict(
            state, rollout.actions[episode], rollout.rewards[episode] + 1
        )


def test_evaluation_is_the_mean_action_in_gymnasium_and_leaves_the_policy_alone():
    task, agent = start("Hopper-v5")
    agent.act(task, 500, np.random.default_rng(1))
    before = [value.copy() for value in agent.moments]
    returns = evaluate(agent, GymTask("Hopper-v5", 3), 1)
    for value, old in zip(agent.moments, before, strict=True):
        np.testing.assert_array_equal(value, old)

    env, horizon = make("Hopper-v5")
    env.reset(seed=3)
    observation, _ = env.reset()
    total = 0.0
    for _ in range(horizon):
        action = np.clip(agent.greedy(observation[None])[0], task.low, task.high)
        observation, reward, *_ = env.step(action.astype(np.float64))
        total += reward
    assert returns[0] == pytest.approx(total, rel=0.05)  # one rounding apart at every step


def test_rollouts_do_not_depend_on_how_they_are_cut():
    (task_a, agent_a), (task_b, agent_b) = start("Hopper-v5"), start("Hopper-v5")
    whole = agent_a.act(task_a, 1200, np.random.default_rng(1))
    stream = np.random.default_rng(1)
    parts = [agent_b.act(task_b, 400, stream) for _ in range(3)]
    for name in ("observations", "actions", "rewards", "ended", "following"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(getattr(whole, name), joined)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("NoSuch-v5", "NoSuch"),
        ("no_such_package:Thing-v0", "no_such_package"),
        ("Blackjack-v1", "needs a Box observation space, not Tuple"),
        ("Endless-v0", r"has no episode length; give one, as in options: \{max_episode_steps"),
    ],
)
def test_unsuitable_environments_are_refused_in_one_line(name, message):
    gymnasium.register("Endless-v0", Unbounded)
    with pytest.raises(ValueError, match=message) as refused:
        GymTask(name, 0)
    assert "\n" not in str(refused.value)


def test_a_package_beside_the_study_brings_its_environments(tmp_path, monkeypatch):
    (tmp_path / "mass_package.py").write_text(
        "import gymnasium\n"
        "gymnasium.register('Mass-v0', 'gymnasium.envs.classic_control:PendulumEnv',\n"
        "                   max_episode_steps=30)\n"
    )
    monkeypatch.chdir(tmp_path)
    assert GymTask("mass_package:Mass-v0", 0).horizon == 30


def test_mujoco_leaves_no_log_of_warnings_about_a_users_robot(tmp_path, monkeypatch):
    (tmp_path / "robots.py").write_text(
        "import gymnasium\n"
        "from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv\n"
        "class Mine(HalfCheetahEnv): pass\n"
        "gymnasium.register('Mine-v0', Mine, max_episode_steps=30)\n"
    )
    monkeypatch.chdir(tmp_path)
    mujoco.set_mju_user_warning(None)  # as in a process that has made no robot before
    GymTask("robots:Mine-v0", 0)
    assert [path.name for path in tmp_path.glob("*.*")] == ["robots.py"]
