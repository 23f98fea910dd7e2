"""A saved policy, which needs only numpy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from active_rlhf.agents.networks import ACTIVATIONS, outputs
from active_rlhf.agents.normalise import Moments, normalised

MOMENTS = tuple(f"observations.{name}" for name in Moments._fields)
BOUNDS = ("actions.low", "actions.high")


def bounds(action_space: Any) -> dict[str, np.ndarray]:
    """Bounds that a saved policy's actions are clipped to, by name; none for discrete ones."""
    if hasattr(action_space, "n"):
        return {}
    values = (action_space.low, action_space.high)
    return {name: value.astype(np.float32) for name, value in zip(BOUNDS, values, strict=True)}


@dataclass(frozen=True)
class SavedPolicy:
    """The policy that a run ended with, including its normaliser of observations.

    arrays: as the run's agent gave them; activation: of its networks, `tanh` or `relu`.
    """

    arrays: Mapping[str, np.ndarray]
    activation: str = "tanh"

    def __post_init__(self) -> None:
        """Raises ValueError, in one line, for arrays that are not those of a policy."""
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation {self.activation!r} is none of {', '.join(ACTIVATIONS)}")
        shapes = self._shapes()
        optional = {"log_std", *BOUNDS} if "log_std" not in self.arrays else set(BOUNDS)
        missing = sorted(shapes.keys() - self.arrays.keys() - optional)
        further = sorted(self.arrays.keys() - shapes.keys())
        if missing or further:
            raise ValueError(f"does not hold the arrays of a run ({[*missing, *further][0]})")
        for name, array in self.arrays.items():
            kind = np.float64 if name in MOMENTS else np.float32
            if array.shape != shapes[name] or array.dtype != kind:
                raise ValueError(f"{name} has a shape or type that no run saves")

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape that each array should have, given those of the weights."""
        if "actor.w1" not in self.arrays or self.arrays["actor.w1"].ndim != 2:
            raise ValueError("holds no actor.w1 [inputs, outputs]")
        width = observations = self.arrays["actor.w1"].shape[0]
        shapes: dict[str, tuple[int, ...]] = {}
        for role in ("actor", "critic"):
            width, layer = observations, 1
            while (name := f"{role}.w{layer}") in self.arrays:
                above = self.arrays[name].shape[-1] if self.arrays[name].ndim else 0
                shapes |= {name: (width, above), f"{role}.b{layer}": (above,)}
                width, layer = above, layer + 1
            if role == "actor":
                shapes |= dict.fromkeys(("log_std", *BOUNDS), (width,))
        return shapes | dict(zip(MOMENTS, ((observations,), (observations,), (1,)), strict=True))

    @property
    def moments(self) -> Moments:
        """Statistics of the observations that the run met."""
        return Moments(*(self.arrays[name] for name in MOMENTS))

    def mean_action(self, observations: np.ndarray) -> np.ndarray:
        """The action without exploration for raw observations [..., o].

        Actions [..., a] within the task's bounds, or the numbers int64 [...] of discrete ones.
        """
        seen = normalised(self.moments, np.asarray(observations))
        given = outputs(self.arrays, "actor", self.activation, seen)
        if "log_std" not in self.arrays:
            return np.asarray(given.argmax(-1))
        if BOUNDS[0] not in self.arrays:  # saved before bounds were saved too
            return given
        return np.clip(given, *(self.arrays[name] for name in BOUNDS))
