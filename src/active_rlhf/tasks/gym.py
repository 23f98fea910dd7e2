"""The control tasks: gymnasium environments, and what the compiled rollout needs of them.

Any gymnasium environment with flat Box observations and actions can be used. Those whose reward
the kernel knows (the running robots below) are stepped inside compiled code, bit for bit the same;
others are stepped through gymnasium.
"""

import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Environment:
    description: str
    options: dict[str, Any]


_ALWAYS_RUN = {"terminate_when_unhealthy": False}

ENVIRONMENTS: dict[str, Environment] = {
    "HalfCheetah-v5": Environment("two-legged planar robot, run forward (17 obs, 6 act)", {}),
    "Hopper-v5": Environment("one-legged planar robot, hop forward (11 obs, 3 act)", _ALWAYS_RUN),
    "Walker2d-v5": Environment(
        "two-legged planar robot, walk forward (17 obs, 6 act)", _ALWAYS_RUN
    ),
    "Ant-v5": Environment("four-legged robot, walk forward (105 obs, 8 act)", _ALWAYS_RUN),
}


def _warn(message: str) -> None:
    """MuJoCo's warnings, which by default also go to a file in the working directory."""
    if "deprecated" not in message:  # the wording of gymnasium's own model files
        print(f"MuJoCo: {message}", file=sys.stderr)


def make(name: str) -> Any:
    """The unwrapped gymnasium environment and its time limit, as `(env, episode_length)`.

    Robots that may fall keep running (`terminate_when_unhealthy=False`), so that episodes end by
    truncation only and their length says nothing about the task.

    Raises ValueError for an unknown name or spaces that are not flat boxes.
    """
    import gymnasium
    import mujoco

    if ":" in name:
        raise ValueError(f"environment {name!r} would import a module; register it, name it alone")
    mujoco.set_mju_user_warning(_warn)
    options = ENVIRONMENTS[name].options if name in ENVIRONMENTS else {}
    try:
        wrapped = gymnasium.make(name, **options)
    except gymnasium.error.Error as error:
        raise ValueError(f"environment {name!r} cannot be made: {error}") from error
    limit = wrapped.spec.max_episode_steps if wrapped.spec else None
    env = wrapped.unwrapped
    for kind, space in (("observation", env.observation_space), ("action", env.action_space)):
        if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) != 1:
            raise ValueError(f"environment {name!r} needs a flat Box {kind} space, not {space}")
    if limit is None:
        raise ValueError(f"environment {name!r} has no episode length (max_episode_steps)")
    return env, limit
