"""Any gymnasium environment with a Box to observe and a Box or Discrete to act in, as a task.

For robots that the compiled rollout can step itself, `mujoco.robots` provides what it needs; other
environments are stepped through gymnasium, wrappers and all.
"""

import os
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from active_rlhf.tasks import replay

_ALWAYS_RUN = {"terminate_when_unhealthy": False}


@dataclass(frozen=True)
class Shipped:
    """An environment with tuned settings: a description, and its default keyword arguments."""

    description: str
    options: dict[str, Any]
    horizon: int = 1000


# Robots that fall keep running, so episodes end only by truncation and their length says nothing
# about the task.
ENVIRONMENTS: dict[str, Shipped] = {
    "HalfCheetah-v5": Shipped("two-legged planar robot, run forward (17 obs, 6 act)", {}),
    "Hopper-v5": Shipped("one-legged planar robot, hop forward (11 obs, 3 act)", _ALWAYS_RUN),
    "Walker2d-v5": Shipped("two-legged planar robot, walk forward (17 obs, 6 act)", _ALWAYS_RUN),
    "Ant-v5": Shipped("four-legged robot, walk forward (105 obs, 8 act)", _ALWAYS_RUN),
    "CartPoleStandard-v0": Shipped(
        "pole on a cart, 1 a step while it stands (4 obs, 2 choices)", {}, 500
    ),
    "CartPoleBalanced-v0": Shipped("the same, rewarded for angle, position and stability", {}, 500),
}


def default_options(name: str) -> dict[str, Any]:
    """The keyword arguments of an environment unless a study says otherwise."""
    return dict(ENVIRONMENTS[name].options) if name in ENVIRONMENTS else {}


def _quiet_mujoco() -> None:
    """Send MuJoCo's warnings to standard error rather than to a file in the working directory."""
    import mujoco

    def warn(message: str) -> None:
        if "deprecated" not in message:  # the wording of gymnasium's own model files
            print(f"MuJoCo: {message}", file=sys.stderr)

    mujoco.set_mju_user_warning(warn)


@contextmanager
def _working_directory_importable() -> Any:
    """For `my_package:Name-v0`, whose package may be in the working directory."""
    here = os.getcwd()
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.append(here)
    try:
        yield
    finally:
        if added:
            sys.path.remove(here)


def make(name: str, options: Mapping[str, Any] | None = None) -> tuple[Any, int]:
    """The gymnasium environment, and the number of steps after which it cuts episodes off.

    name: as gymnasium takes it, also `package:Name-v0`. options: keyword arguments of
    `gymnasium.make`, over the defaults of the robots shipped here.

    Raises ValueError, in one line, for an unknown name, unsuitable options or spaces.
    """
    import gymnasium

    from active_rlhf.tasks import cartpole

    cartpole.register()
    arguments = default_options(name) | dict(options or {})
    entry = str(getattr(gymnasium.registry.get(name), "entry_point", ""))
    if "mujoco" in entry or not entry.startswith("gymnasium."):  # or may be, as one of the user's
        _quiet_mujoco()
    try:
        with _working_directory_importable():
            env = gymnasium.make(name, disable_env_checker=True, **arguments)
    except (gymnasium.error.Error, ImportError, TypeError) as error:
        raise ValueError(f"environment {name!r} cannot be made: {error}") from error
    if "mujoco" in sys.modules:
        _quiet_mujoco()
    seen, acted = env.observation_space, env.action_space
    if not isinstance(seen, gymnasium.spaces.Box):
        raise ValueError(
            f"environment {name!r} needs a Box observation space, not {seen}; "
            "gymnasium.wrappers.FlattenObservation makes one of most others"
        )
    flat = isinstance(acted, gymnasium.spaces.Box) and len(acted.shape) == 1
    if not flat and not isinstance(acted, gymnasium.spaces.Discrete):
        raise ValueError(
            f"environment {name!r} needs a flat Box or a Discrete action space, not {acted}"
        )
    horizon = env.spec.max_episode_steps if env.spec else None
    if horizon is None:
        raise ValueError(
            f"environment {name!r} has no episode length; give one, as in "
            "options: {max_episode_steps: 1000}"
        )
    return env, int(horizon)


def _bare(env: Any) -> bool:
    """Whether an environment's only wrappers are those that count steps and check calls."""
    from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

    while env is not env.unwrapped:
        if type(env) not in (TimeLimit, OrderEnforcing, PassiveEnvChecker):
            return False
        env = env.env
    return True


class GymTask:
    """A gymnasium environment in the middle of an episode. `seed` seeds its own random stream.

    Wrappers that only count and check are removed, and their work is done here. `fused` is what the
    compiled rollout steps instead, or None if it cannot or `compiled` is False. `unobserved` is
    None, or the number of the robot's leading positions if only these cannot be told from an
    observation.
    """

    def __init__(
        self,
        name: str,
        seed: int,
        options: Mapping[str, Any] | None = None,
        compiled: bool = True,
    ):
        self.name, self.elapsed = name, 0
        env, self.horizon = make(name, options)
        bare = _bare(env)
        self.env = env.unwrapped if bare else env
        self.fused: Any = None
        self.unobserved: int | None = None
        if bare and "mujoco" in sys.modules:
            from active_rlhf.tasks.mujoco import robots

            self.fused = robots.fused(self.env) if compiled else None
            self.unobserved = robots.unobserved(self.env)
        self.origin: Mapping[str, Any] | None = None
        self.discrete = not hasattr(self.action_space, "low")
        if not self.discrete:
            self.low = self.action_space.low.astype(np.float32)
            self.high = self.action_space.high.astype(np.float32)
        self.observation = self._raw(self.env.reset(seed=seed)[0])

    @staticmethod
    def _raw(observation: Any) -> np.ndarray:
        values = np.asarray(observation)
        return values.astype(np.float64) if values.dtype.kind == "f" else values.copy()

    @property
    def observation_space(self) -> Any:
        return self.env.observation_space

    @property
    def action_space(self) -> Any:
        return self.env.action_space

    @property
    def stream(self) -> np.random.Generator:
        return self.env.unwrapped.np_random

    def reset(self) -> None:
        self.origin = self.stream.bit_generator.state
        self.observation = self._raw(self.env.reset()[0])
        self.elapsed = 0

    def step(self, action: np.ndarray) -> tuple[float, bool, bool]:
        raw, reward, terminated, truncated, _ = self.env.step(self.control(action))
        self.observation = self._raw(raw)
        self.elapsed += 1
        cut = bool(truncated) or self.elapsed >= self.horizon
        return float(reward), bool(terminated), cut and not terminated

    def control(self, action: np.ndarray) -> Any:
        """One sampled action, in the type that the environment expects."""
        if self.discrete:
            return int(action) + int(self.action_space.start)
        # The same control that the compiled rollout writes.
        return np.clip(action, self.low, self.high).astype(np.float64)

    def executed(self, actions: np.ndarray) -> np.ndarray:
        return actions if self.discrete else np.clip(actions, self.low, self.high)

    def state_dict(self) -> dict[str, Any]:
        return {"origin": self.origin, "elapsed": self.elapsed, "observation": self.observation}

    def load_state_dict(
        self, state: Mapping[str, Any], actions: np.ndarray, rewards: np.ndarray
    ) -> None:
        if state["origin"] is not None:
            self.stream.bit_generator.state = state["origin"]
            self.reset()
        replay(self, state, actions, rewards)
