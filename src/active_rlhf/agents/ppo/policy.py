"""The Gaussian policy and value function of the compiled path.

All parameters lie in one flat float32 buffer that the networks view, so that an optimiser step is
one pass over memory.
"""

from collections import namedtuple
from dataclasses import dataclass

import numpy as np

from active_rlhf.agents import kernels
from active_rlhf.agents.kernels import Network
from active_rlhf.agents.networks import initial_weights
from active_rlhf.agents.normalise import Moments, empty_moments
from active_rlhf.compute.layers import standardise

Parameters = namedtuple("Parameters", "flat actor critic log_std")
NAMES = ("w1", "b1", "w2", "b2", "w3", "b3")


def parameters(
    flat: np.ndarray, observations: int, actions: int, hidden: tuple[int, int] = (64, 64)
) -> Parameters:
    """Views of a flat float32 buffer as actor, critic (two hidden layers, tanh) and log sd [a]."""
    first, second = hidden
    shapes = [
        shape
        for outputs in (actions, 1)
        for shape in (
            *((observations, first), (first,)),
            *((first, second), (second,)),
            *((second, outputs), (outputs,)),
        )
    ] + [(actions,)]
    pieces = np.split(flat, np.cumsum([np.prod(shape) for shape in shapes])[:-1])
    views = [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]
    return Parameters(flat, Network(*views[:6]), Network(*views[6:12]), views[12])


def parameter_count(observations: int, actions: int, hidden: tuple[int, int] = (64, 64)) -> int:
    first, second = hidden
    one = (observations + 1) * first + (first + 1) * second
    return 2 * one + (second + 1) * (actions + 1) + actions


@dataclass(frozen=True)
class Policy:
    """Policy parameters with the normaliser of the raw observations they are used on."""

    parameters: Parameters
    moments: Moments

    @classmethod
    def initial(
        cls,
        observations: int,
        actions: int,
        generator: np.random.Generator,
        hidden: tuple[int, int] = (64, 64),
    ) -> "Policy":
        """Orthogonal weights (gain sqrt 2; actor output .01, value output 1), other values zero."""
        flat = np.zeros(parameter_count(observations, actions, hidden), np.float32)
        params = parameters(flat, observations, actions, hidden)
        for network, gain in ((params.actor, 0.01), (params.critic, 1.0)):
            sizes = (observations, *hidden, network.b3.size)
            drawn = initial_weights(sizes, gain, generator)
            for weight, value in zip((network.w1, network.w2, network.w3), drawn, strict=True):
                weight[:] = value
        return cls(params, empty_moments(observations))

    def normalise(self, raw: np.ndarray) -> np.ndarray:
        """Raw observations [n, o] as the networks see them, with today's frozen moments."""
        scale = np.sqrt(self.moments.var + kernels.VARIANCE_FLOOR)
        out = np.empty(raw.shape, np.float32)
        standardise(raw, self.moments.mean, scale, kernels.OBSERVATION_CLIP, out)
        return out

    def mean_action(self, raw: np.ndarray) -> np.ndarray:
        """Deterministic actions [n, a] for raw observations [n, o]."""
        return kernels.network(self.normalise(raw), self.parameters.actor)

    def log_probabilities(
        self, raw: np.ndarray, actions: np.ndarray, chunk: int = 2048
    ) -> np.ndarray:
        """Log density [n] of sampled actions [n, a] at raw observations [n, o]."""
        out = np.empty(len(raw), np.float32)
        for begin in range(0, len(raw), chunk):
            part = slice(begin, begin + chunk)
            out[part] = kernels.log_probabilities(
                self.mean_action(raw[part]), self.parameters.log_std, actions[part]
            )
        return out

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything needed to use the policy elsewhere, by name; the arrays are the policy's."""
        arrays = {
            f"{role}.{name}": value
            for role in ("actor", "critic")
            for name, value in zip(NAMES, getattr(self.parameters, role), strict=True)
        }
        arrays |= {"log_std": self.parameters.log_std}
        return arrays | {f"observations.{k}": v for k, v in self.moments._asdict().items()}
