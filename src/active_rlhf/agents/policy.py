"""The Gaussian policy, its value function and the observation normaliser they share.

All parameters lie in one flat float32 buffer that the networks view, so that an optimiser step is
one pass over memory and saving is one array.
"""

from collections import namedtuple
from dataclasses import dataclass

import numpy as np

from active_rlhf.agents import kernels
from active_rlhf.agents.kernels import Network
from active_rlhf.compute.layers import standardise

HIDDEN = 64

Parameters = namedtuple("Parameters", "flat actor critic log_std")
Moments = namedtuple("Moments", "mean var count")
Moments.__doc__ = """Running mean [o], variance [o] and count [1] of observations, float64."""


def parameters(flat: np.ndarray, observations: int, actions: int) -> Parameters:
    """Views of a flat float32 buffer as actor, critic (both o-64-64-k, tanh) and log sd [a]."""
    shapes = [
        shape
        for outputs in (actions, 1)
        for shape in (
            *((observations, HIDDEN), (HIDDEN,)),
            *((HIDDEN, HIDDEN), (HIDDEN,)),
            *((HIDDEN, outputs), (outputs,)),
        )
    ] + [(actions,)]
    pieces = np.split(flat, np.cumsum([np.prod(shape) for shape in shapes])[:-1])
    views = [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]
    return Parameters(flat, Network(*views[:6]), Network(*views[6:12]), views[12])


def parameter_count(observations: int, actions: int) -> int:
    one = (observations + 1) * HIDDEN + (HIDDEN + 1) * HIDDEN
    return 2 * one + (HIDDEN + 1) * (actions + 1) + actions


def empty_moments(observations: int) -> Moments:
    """Moments before any observation: unit variance with gymnasium's small count."""
    return Moments(np.zeros(observations), np.ones(observations), np.full(1, 1e-4))


def orthogonal(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """A uniformly random matrix [rows, columns]: orthonormal rows or columns, whichever are fewer.

    Q of a Gaussian matrix, with R's diagonal made positive (Mezzadri 2007, section 5).
    """
    rows, columns = shape
    gaussian = generator.standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(gaussian)
    q *= np.sign(np.diag(r))
    return q if rows >= columns else q.T


@dataclass(frozen=True)
class Policy:
    """Policy parameters with the normaliser of the raw observations they are used on."""

    parameters: Parameters
    moments: Moments

    @classmethod
    def initial(cls, observations: int, actions: int, generator: np.random.Generator) -> "Policy":
        """Orthogonal weights (gain sqrt 2; actor output .01, value output 1), other values zero.

        The initialisation of CleanRL's continuous-action PPO.
        """
        flat = np.zeros(parameter_count(observations, actions), np.float32)
        params = parameters(flat, observations, actions)
        for network, gain in ((params.actor, 0.01), (params.critic, 1.0)):
            gains = (np.sqrt(2), np.sqrt(2), gain)
            for weight, g in zip((network.w1, network.w2, network.w3), gains, strict=True):
                weight[:] = g * orthogonal(weight.shape, generator)
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
        names = ("w1", "b1", "w2", "b2", "w3", "b3")
        arrays = {
            f"{role}.{name}": value
            for role in ("actor", "critic")
            for name, value in zip(names, getattr(self.parameters, role), strict=True)
        }
        arrays |= {"log_std": self.parameters.log_std}
        return arrays | {f"observations.{k}": v for k, v in self.moments._asdict().items()}
