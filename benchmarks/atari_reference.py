"""A2C of Stable-Baselines3 on Seaquest, a number of steps at a time, for `atari.py`.

It runs in an environment of its own, with stable-baselines3, opencv-python-headless and ale-py. For
each line `<steps>` that it reads it learns for so many steps, and prints the CPU seconds.
"""

import sys
import time

import torch
from stable_baselines3 import A2C
from stable_baselines3.common.env_util import make_atari_env
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.vec_env import VecFrameStack

ENVIRONMENTS = 16


def agent() -> A2C:
    """With the settings of RL Zoo's Atari runs, on one thread."""
    torch.set_num_threads(1)
    tasks = VecFrameStack(make_atari_env("ALE/Seaquest-v5", ENVIRONMENTS, env_kwargs=PLAIN), 4)
    optimiser = {"optimizer_class": RMSpropTFLike, "optimizer_kwargs": {"eps": 1e-5}}
    return A2C("CnnPolicy", tasks, ent_coef=0.01, vf_coef=0.25, policy_kwargs=optimiser)


# The wrappers skip frames themselves.
PLAIN = {"frameskip": 1, "repeat_action_probability": 0.0}


def main() -> None:
    import ale_py
    import gymnasium

    gymnasium.register_envs(ale_py)
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    a2c = agent()
    for line in sys.stdin:
        begin = time.process_time()
        a2c.learn(int(line), reset_num_timesteps=False)
        print(time.process_time() - begin, flush=True)


if __name__ == "__main__":
    main()
