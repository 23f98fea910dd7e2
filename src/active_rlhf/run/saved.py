"""A finished run's policy and reward model, read back without running anything that a file says.

Anybody's runs may be opened: files are loaded by torch's `weights_only`, and all that is taken from
them is numbers for arrays of the expected shapes.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from active_rlhf.agents.policy import Policy, empty_moments, parameter_count, parameters
from active_rlhf.errors import InputError, line
from active_rlhf.parts import part
from active_rlhf.rewards import RewardModel, build
from active_rlhf.study.loading import DEFAULTS
from active_rlhf.study.validation import validate


class SavedError(InputError):
    """A file is not what a run saves; the message is one line that names it."""


def load_policy(run: str | Path) -> Policy:
    """The policy that the run in this directory ended with. Raises SavedError."""
    path = Path(run) / "policy.pt"
    saved = _read(path)
    observations, actions = (_size(saved, name, path) for name in ("actor.w1", "log_std"))
    flat = np.zeros(parameter_count(observations, actions), np.float32)
    policy = Policy(parameters(flat, observations, actions), empty_moments(observations))
    _fill(policy.arrays(), saved, path)
    return policy


def load_reward_model(run: str | Path) -> RewardModel:
    """The reward model that the run in this directory ended with. Raises SavedError."""
    path, described = Path(run) / "reward_model.pt", Path(run) / "run.json"
    saved = _read(path)
    try:
        config = json.loads(described.read_text(encoding="utf-8"))["spec"]["reward_model"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise SavedError(f"{described}: says nothing of a reward model ({line(error)})") from error
    validate(config, f"{described}: spec.reward_model", "reward_model")
    config = DEFAULTS["reward_model"] | config
    name = config.pop("name", "mlp")
    declared = part("reward_model", name)
    try:
        made: Any = declared.make
        observations, actions = made.sizes(saved, declared.complete(config))
    except ValueError as error:
        raise SavedError(f"{path}: {error} ({described})") from error
    model = build(name, config, observations, actions, np.random.default_rng(0))
    _fill(model.arrays(), saved, path)
    return model


def _read(path: Path) -> dict[str, np.ndarray]:
    """The named arrays of a file."""
    import torch

    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tensor.numpy() for name, tensor in saved.items()}
    except FileNotFoundError:
        raise SavedError(f"{path}: no such file") from None
    except Exception as error:  # pickle, zipfile and torch raise many kinds for damaged bytes
        raise SavedError(f"{path}: not the tensors of a run ({type(error).__name__})") from error


def _size(saved: Mapping[str, np.ndarray], name: str, path: Path) -> int:
    """Rows of an array."""
    if name not in saved or not saved[name].ndim:
        raise SavedError(f"{path}: holds no {name}")
    return len(saved[name])


def _fill(arrays: Mapping[str, np.ndarray], saved: Mapping[str, np.ndarray], path: Path) -> None:
    """Take over the numbers of all arrays, which must be those saved, in name and shape."""
    if arrays.keys() != saved.keys():
        names = ", ".join(sorted(arrays.keys() ^ saved.keys())[:3])
        raise SavedError(f"{path}: holds other arrays than a run saves ({names})")
    for name, array in arrays.items():
        if saved[name].shape != array.shape or saved[name].dtype != array.dtype:
            raise SavedError(f"{path}: {name} is of another shape or type than a run saves")
        array[...] = saved[name]
