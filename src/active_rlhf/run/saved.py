"""A run's policy and reward model as files: named arrays in the safetensors format, and back.

It is safe to open anybody's runs: nothing in a file is executed, and only numbers for arrays of the
expected shapes are read from it. Older runs have `.pt` files, which are read by torch with
`weights_only`; nothing else here needs torch.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from active_rlhf.agents.saved import BOUNDS, SavedPolicy
from active_rlhf.errors import InputError, line
from active_rlhf.files import atomic
from active_rlhf.parts import part
from active_rlhf.rewards import RewardModel, build

SUFFIX, FORMER_SUFFIX = ".safetensors", ".pt"


class SavedError(InputError):
    """A file is not what a run saves; the one-line message names it."""


def save_arrays(arrays: Mapping[str, np.ndarray], path: str | Path) -> None:
    """Write named arrays as a `.safetensors` file; equal arrays give equal bytes.

    Raises OSError, such as for a full disk.
    """
    from safetensors.numpy import save

    content = save({name: np.asarray(array, order="C") for name, array in arrays.items()})
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The named arrays of a file that `save_arrays` wrote, or of a `.pt` one. Raises SavedError."""
    path = Path(path)
    try:
        if path.suffix == FORMER_SUFFIX:
            import torch

            saved = torch.load(path, map_location="cpu", weights_only=True)
            return {name: tensor.numpy() for name, tensor in saved.items()}
        from safetensors.numpy import load

        return load(path.read_bytes())
    except FileNotFoundError:
        raise SavedError(f"{path}: no such file") from None
    except Exception as error:  # each library raises many kinds for damaged bytes
        raise SavedError(f"{path}: not the arrays of a run ({type(error).__name__})") from error


def load_policy(run: str | Path) -> SavedPolicy:
    """The policy that the run in this directory ended with. Raises SavedError."""
    path, described = _file(run, "policy"), Path(run) / "run.json"
    saved = load_arrays(path)
    try:
        spec = json.loads(described.read_text(encoding="utf-8"))["spec"]
        activation = str(spec.get("agent", {}).get("activation", "tanh"))
    except (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise SavedError(f"{described}: names no agent ({line(error)})") from error
    try:
        return SavedPolicy(saved, activation)
    except ValueError as error:
        raise SavedError(f"{path}: {error}") from error


def load_reward_model(run: str | Path) -> RewardModel:
    """The reward model that the run in this directory ended with. Raises SavedError."""
    path, described = _file(run, "reward_model"), Path(run) / "run.json"
    saved = load_arrays(path)
    try:
        record = json.loads(described.read_text(encoding="utf-8"))
        config = dict(record["spec"]["reward_model"])
        name = config.pop("name", "mlp")
        declared = part("reward_model", name)
        settings = declared.complete(config)
        clipped = record["spec"].get("labels", {}).get("actions") == "clipped"
    except (
        *(InputError, OSError, ValueError, LookupError),
        *(AttributeError, TypeError, RecursionError),
    ) as error:
        raise SavedError(f"{described}: names no reward model ({line(error)})") from error
    try:
        made: Any = declared.make
        observations, actions = made.sizes(saved, settings)
    except ValueError as error:
        raise SavedError(f"{path}: {error} ({described})") from error
    # Discrete actions have no bounds. Those of others are filled in with the rest.
    clipped &= any(bound in saved for bound in BOUNDS)
    to = {bound: np.empty(actions, np.float32) for bound in BOUNDS} if clipped else None
    model = build(name, config, observations, actions, np.random.default_rng(0), to)
    _fill(model.arrays(), saved, path)
    return model


def _file(run: str | Path, name: str) -> Path:
    """The file that a run saved under a name: in the current format, or else in the former one."""
    path, former = (Path(run) / f"{name}{suffix}" for suffix in (SUFFIX, FORMER_SUFFIX))
    return former if former.exists() and not path.exists() else path


def _fill(arrays: Mapping[str, np.ndarray], saved: Mapping[str, np.ndarray], path: Path) -> None:
    """Copy the numbers of all arrays; names and shapes must match."""
    if arrays.keys() != saved.keys():
        names = ", ".join(sorted(arrays.keys() ^ saved.keys())[:3])
        raise SavedError(f"{path}: does not hold the arrays of a run ({names})")
    for name, array in arrays.items():
        if saved[name].shape != array.shape or saved[name].dtype != array.dtype:
            raise SavedError(f"{path}: {name} has a shape or type that no run saves")
        array[...] = saved[name]
