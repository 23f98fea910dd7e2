"""A restored run continues in lockstep with the original, whatever its parts."""

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from run_files import assert_same_results
from test_checkpoint import same
from tiny_study import small

from active_rlhf.run import state as saving
from active_rlhf.run.checkpoint import pack, unpack
from active_rlhf.run.loop import Run
from active_rlhf.run.training import Stopped, train
from active_rlhf.study.loading import load_study, resolve_run

ROLLOUT, ROLLOUTS = 64, 24
SMALL: dict[str, Any] = small(
    baselines=True,
    total_steps=ROLLOUTS * ROLLOUT,
    labels={"total": 30, "sessions": 12},
    evaluation={"every": 500},
)
IN_STEP = {"name": "a2c", "environments": 4, "rollout_steps": ROLLOUT}
PPO, FEW = (
    SMALL["agent"] | {"environments": 4, "hidden": [8]},
    SMALL["labels"] | {"segment_length": 5},
)
GATED = {"candidates": "recent", "filter": {"name": "consensual", "train_accuracy": 0.0}}


class Draughty(gymnasium.Env):
    """A mass in gusts of wind, which may be blown away; `chance` is its own or the one it should
    use."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float64)
    action_space = Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, proper: bool = True):
        self.chance = None if proper else np.random.default_rng(0)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = np.zeros(2)
        return self.state, {}

    def step(self, action):
        gust = (self.chance or self.np_random).normal()
        self.state[1] += float(action[0]) + gust  # in place: the same array every time
        self.state[0] += 0.1 * self.state[1]
        return self.state, -abs(self.state[0]), bool(abs(self.state[0]) > 30), False, {}


class Planes(Draughty):
    """The same in pictures."""

    observation_space = Box(0, 255, (2, 36, 36), np.uint8)

    def _shown(self):
        height = np.clip(self.state[0] + 18, 0, 35).astype(int)
        picture = np.zeros((2, 36, 36), np.uint8)
        picture[:, height] = 255
        return picture

    def reset(self, **given):
        super().reset(**given)
        return self._shown(), {}

    def step(self, action):
        return self._shown(), *super().step(action)[1:]


gymnasium.register("Planes-v0", Planes, max_episode_steps=150)
gymnasium.register("Draughty-v0", Draughty, max_episode_steps=150)
gymnasium.register("Improper-v0", Draughty, max_episode_steps=150, kwargs={"proper": False})


def spec(environment: str, selector: Any, **changes: Any) -> dict[str, Any]:
    name = selector if isinstance(selector, str) else "mine"
    selectors = [name] if isinstance(selector, str) else {name: selector}
    if name == "random_policy":
        selectors = ["random"]
    data = SMALL | {"environments": [environment], "selectors": selectors} | changes
    return resolve_run(load_study("small.yaml", data=data), environment, name, 1)


def state(run: Run) -> dict[str, Any]:
    """All of a run's state except times."""
    rows = np.concatenate([*run.behaviour.rows(0)])
    content = unpack(pack(saving.state_of(run) | {"rows": rows}))
    if "learner" in content["parts"]:
        del content["parts"]["learner"]["timings"]
    del content["parts"]["clock"], content["parts"]["cost"]
    return content


def restored(run: Run) -> Run:
    other = Run(run.spec)
    saving.restore(other, unpack(pack(saving.state_of(run))), run.behaviour.rows(0))
    return other


@pytest.mark.parametrize(
    ("environment", "selector", "changes"),
    [
        ("HalfCheetah-v5", "duo", {}),
        ("Ant-v5", "variquery", {"teacher": {"name": "human_simulated"}}),
        ("Hopper-v5", "hybrid", {"teacher": {"name": "noisy"}}),
        ("Hopper-v5", "random_policy", {}),
        ("Pendulum-v1", "k_center_disagreement", {"teacher": {"name": "skip"}}),
        ("InvertedPendulum-v5", GATED, {"labels": FEW | {"segment_length": 4}}),
        ("Draughty-v0", "duo", {"agent": IN_STEP, "labels": FEW}),
        ("CartPole-v1", "random", {"agent": PPO, "labels": FEW | {"first_after": 0.1}}),
        ("Planes-v0", "true_reward", {"agent": IN_STEP | {"network": "cnn", "hidden": [8]}}),
        ("Draughty-v0", "random", {"labels": FEW}),
    ],
)
@pytest.mark.parametrize("rollouts", [1, 18])
def test_a_restored_run_goes_on_in_lockstep(environment, selector, changes, rollouts):
    run = Run(spec(environment, selector, **changes))
    for _ in range(rollouts):
        run.advance()
    other = restored(run)
    assert same(state(other), state(run))
    while run.done < min(rollouts + 8, run.plan.rollouts):
        run.advance(), other.advance()
        assert same(state(other), state(run)), run.done
    assert other.behaviour.episodes()[0].tolist() == run.behaviour.episodes()[0].tolist()


def test_a_run_restored_before_its_first_rollout_is_a_new_one():
    run = Run(spec("Hopper-v5", "random"))
    other = restored(run)
    run.advance(), other.advance()
    assert same(state(other), state(run))


def test_a_run_whose_environment_does_not_repeat_itself_starts_afresh(tmp_path, capsys):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    wanted = spec("Improper-v0", "true_reward")
    train(wanted, whole)
    asked = iter([False] * 4)
    with pytest.raises(Stopped, match="stopped at step 256; the same command goes on from step"):
        train(wanted, cut, stopping=lambda: next(asked, True))
    train(wanted, cut)
    said = "cannot go on from a checkpoint, as Improper-v0 does not repeat an episode bit for bit"
    assert f"{said}: starting afresh" in capsys.readouterr().err
    assert_same_results(cut, whole)
