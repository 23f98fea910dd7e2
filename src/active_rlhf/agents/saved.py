"""A saved policy, which needs only numpy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from active_rlhf.agents.networks import ACTIVATIONS, STRIDES, features, outputs
from active_rlhf.agents.normalise import Moments, normalised
from active_rlhf.agents.pictures import picture_shape

MOMENTS = tuple(f"observations.{name}" for name in Moments._fields)
PICTURE = "observations.shape"
_KINDS: dict[str, Any] = {**dict.fromkeys(MOMENTS, np.float64), PICTURE: np.int64}
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
            kind = _KINDS.get(name, np.float32)
            if array.shape != shapes[name] or array.dtype != kind:
                raise ValueError(f"{name} has a shape or type that no run saves")

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape that each array should have, given those of the weights."""
        if "actor.w1" not in self.arrays or self.arrays["actor.w1"].ndim != 2:
            raise ValueError("holds no actor.w1 [inputs, outputs]")
        inputs = self.arrays["actor.w1"].shape[0]
        shapes: dict[str, tuple[int, ...]] = {}
        for role in ("actor", "critic"):
            layers, width = self._layers(role, inputs)
            shapes |= layers
            if role == "actor":
                shapes |= dict.fromkeys(("log_std", *BOUNDS), (width,))
        if PICTURE not in self.arrays:
            return shapes | dict(zip(MOMENTS, ((inputs,), (inputs,), (1,)), strict=True))
        return shapes | self._shapes_of_pixels()

    def _layers(self, role: str, width: int) -> tuple[dict[str, tuple[int, ...]], int]:
        """The shapes of a perceptron's arrays, and its outputs."""
        shapes: dict[str, tuple[int, ...]] = {}
        layer = 1
        while (name := f"{role}.w{layer}") in self.arrays:
            above = self.arrays[name].shape[-1] if self.arrays[name].ndim else 0
            shapes |= {name: (width, above), f"{role}.b{layer}": (above,)}
            width, layer = above, layer + 1
        return shapes, width

    def _shapes_of_pixels(self) -> dict[str, tuple[int, ...]]:
        shape = self.arrays[PICTURE]
        if shape.shape not in ((2,), (3,)) or not ((shape > 0) & (shape < 1 << 16)).all():
            raise ValueError(f"{PICTURE} is no shape of pictures")
        channels, height, width = picture_shape(tuple(shape.tolist()))
        shapes: dict[str, tuple[int, ...]] = {PICTURE: shape.shape}
        for layer, stride in enumerate(STRIDES, 1):
            weight = self.arrays.get(f"pixels.w{layer}", np.empty(0))
            if weight.ndim != 4 or 0 in weight.shape:
                raise ValueError(f"holds no pixels.w{layer} [outputs, inputs, height, width]")
            above, _, *square = weight.shape
            shapes |= {f"pixels.w{layer}": (above, channels, *square), f"pixels.b{layer}": (above,)}
            height, width = (height - square[0]) // stride + 1, (width - square[1]) // stride + 1
            channels = above
        shapes |= self._layers("trunk", channels * height * width)[0]
        return shapes

    @property
    def moments(self) -> Moments | None:
        """Statistics of the observations that the run met; None for pictures."""
        if PICTURE in self.arrays:
            return None
        return Moments(*(self.arrays[name] for name in MOMENTS))

    def mean_action(self, observations: np.ndarray) -> np.ndarray:
        """The action without exploration for raw observations [..., o], or pictures [n, ...].

        Actions [..., a] within the task's bounds, or the numbers int64 [...] of discrete ones.
        """
        given = outputs(self.arrays, "actor", self.activation, self._inputs(observations))
        if "log_std" not in self.arrays:
            return np.asarray(given.argmax(-1))
        if BOUNDS[0] not in self.arrays:  # saved before bounds were saved too
            return given
        return np.clip(given, *(self.arrays[name] for name in BOUNDS))

    def _inputs(self, observations: np.ndarray) -> np.ndarray:
        """What the policy's last layers see."""
        if self.moments is not None:
            return normalised(self.moments, np.asarray(observations))
        shape = tuple(self.arrays[PICTURE].tolist())
        picture = picture_shape(shape)
        x = np.asarray(observations).astype(np.float32) / np.float32(255)
        x = np.moveaxis(x, -1, 1) if len(shape) == 3 and shape != picture else x
        return features(self.arrays, self.activation, x.reshape(-1, *picture))
