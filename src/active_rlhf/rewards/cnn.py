"""An ensemble of convolutional networks on stacked frames and the action.

The network of Christiano et al. 2017 (app. A.2): four convolutions of 16 filters, 7x7 with stride
3, 5x5 with 2, 3x3 and 3x3, each with batch normalisation, leaky ReLU (.01) and dropout (.5), then
64 units and the reward. Here these 64 units also see the action, one-hot beside what the
convolutions give. There, rewards are scaled to a standard deviation of .05; here members are
calibrated to 1 and the policy's rewards are then divided by the running sd of their discounted
return (`agents.reward_scaling`), so that no constant matters. Pixels are divided by 255, and never
normalised by what was seen.

Frames are read a minibatch at a time, as labels of thousands of stacks would not fit in memory.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from active_rlhf.agents.normalise import Moments
from active_rlhf.errors import InputError
from active_rlhf.parts import reward_model
from active_rlhf.rewards.ensemble import Ensemble
from active_rlhf.rewards.settings import CNNSettings
from active_rlhf.rewards.torch_mlp import TorchMLP, adams

CONVOLUTIONS = ((7, 3), (5, 2), (3, 1), (3, 1))  # side and stride
FILTERS, SLOPE = 16, 0.01
CHUNK = 128  # stacks predicted at once: what a processor's cache holds of the first layer


def _sides(side: int) -> list[int]:
    """The side of a picture after each convolution."""
    sides = [side]
    for kernel, stride in CONVOLUTIONS:
        sides.append((sides[-1] - kernel) // stride + 1)
    return sides[1:]


def least_side() -> int:
    """The smallest side of a picture that the convolutions leave something of."""
    return next(side for side in range(1, 100) if min(_sides(side)) >= 1)


class Dropout(nn.Module):
    """Dropout whose bits come from a generator of numpy, a byte for each number: drawing them by
    torch would take half of the time of training. The share is rounded to a 256th."""

    bits: np.random.Generator

    def __init__(self, share: float):
        super().__init__()
        self.kept = max(1, round(256 * (1 - share)))  # of 256

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.kept == 256:
            return x
        count = x.numel()
        words = self.bits.integers(2**64, size=-(-count // 8), dtype=np.uint64)
        drawn = torch.from_numpy(words.view(np.uint8)[:count])
        scale = (drawn < self.kept).float().mul_(256 / self.kept)
        return x * scale.as_strided(x.shape, x.stride())


class Network(nn.Module):
    """Rewards [n] for frames [n, k, h, w], uint8, and actions float32 [n, a]."""

    def __init__(self, shape: tuple[int, int, int], actions: int, settings: CNNSettings):
        super().__init__()
        stack, height, width = shape
        if min(height, width) < least_side():
            raise InputError(
                f"reward_model: cnn needs pictures of {least_side()} x {least_side()} pixels or "
                f"more, not {height} x {width}"
            )
        layers: list[nn.Module] = []
        for kernel, stride in CONVOLUTIONS:
            layers.append(nn.Conv2d(stack, FILTERS, kernel, stride))
            if settings.batch_norm:
                layers.append(nn.BatchNorm2d(FILTERS))
            layers += [nn.LeakyReLU(SLOPE, inplace=True), Dropout(settings.dropout)]
            stack = FILTERS
        self.convolutions = nn.Sequential(*layers)
        left = FILTERS * _sides(height)[-1] * _sides(width)[-1]
        self.hidden = nn.Sequential(nn.Linear(left + actions, settings.units), nn.LeakyReLU(SLOPE))
        self.reward = nn.Linear(settings.units, 1)

    def units(self, frames: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """The last hidden units [n, units]."""
        # Channels last, which this library's convolutions are faster with; weights stay as they
        # are, so that a restored optimiser computes in the same order.
        x = frames.contiguous(memory_format=torch.channels_last).float().div_(255)
        seen = self.convolutions(x).flatten(1)
        return self.hidden(torch.cat([seen, actions], 1))

    def forward(self, frames: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        return self.reward(self.units(frames, actions))[:, 0]


@reward_model(name="cnn", pictures=True)
class CNN(TorchMLP):
    """Convolutional networks on stacked frames and the action (Christiano et al. 2017)."""

    settings: CNNSettings  # type: ignore[assignment]

    def __init__(
        self,
        observations: tuple[int, int, int],
        actions: int,
        generator: np.random.Generator,
        settings: CNNSettings,
    ):
        Ensemble.__init__(self, settings.members, 1, actions)
        torch.set_num_threads(1)  # a run is one
        self.shape, self.settings, self.generator = tuple(observations), settings, generator
        self._seed()
        self.networks = nn.ModuleList(
            Network(observations, actions, settings) for _ in range(settings.members)
        ).eval()
        self.optimisers = adams(self.networks, settings)

    def observe(self, moments: Moments) -> None:
        """Pixels are not normalised."""

    def _given(self, observations: Any, actions: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Frames [n, k, h, w] and actions [n, a] of steps [..., k, h, w] and [...]."""
        if actions.dtype.kind in "iu":
            actions = np.eye(self.actions, dtype=np.float32)[actions]
        frames = np.ascontiguousarray(observations.reshape(-1, *self.shape))
        return torch.from_numpy(frames), torch.from_numpy(actions.reshape(len(frames), -1))

    def fit(
        self,
        observations: np.ndarray,
        actions: np.ndarray,
        preferences: np.ndarray,
        importance: np.ndarray | None = None,
    ) -> float:
        """Train every member for `epochs` epochs on its own sample of the labels."""
        length = actions.shape[2]

        def rewards(member: nn.Module, pairs: np.ndarray) -> torch.Tensor:
            given = self._given(observations[pairs], actions[pairs])
            found: torch.Tensor = member(*given).reshape(-1, 2, length)
            return found

        return self._train(rewards, preferences, importance)

    def _begin_epoch(self, member: nn.Module) -> None:
        bits = np.random.default_rng(self.generator.integers(2**63))
        for layer in member.modules():
            if isinstance(layer, Dropout):
                layer.bits = bits

    @torch.no_grad()
    def member_rewards(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        shape = observations.shape[:-3]
        count = int(np.prod(shape))
        frames = observations.reshape(count, *self.shape)
        acted = actions.reshape(count, *actions.shape[len(shape) :])
        out = np.empty((len(self.networks), count), np.float32)
        for begin in range(0, count, CHUNK):
            part = slice(begin, begin + CHUNK)
            given = self._given(frames[part], acted[part])
            for e, member in enumerate(self.networks):
                out[e, part] = member(*given).numpy()
        return out.reshape(len(out), *shape)

    @torch.no_grad()
    def features(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        out = np.empty((len(self.networks), len(actions), self.settings.units), np.float32)
        for n, steps in enumerate(actions):
            given = self._given(observations[n], steps)
            for e, member in enumerate(self.networks):
                out[e, n] = member.units(*given).sum(0).numpy()
        return out

    def arrays(self) -> dict[str, np.ndarray]:
        return super().arrays() | {"sizes": np.array([*self.shape, self.actions])}

    @classmethod
    def sizes(cls, arrays: Mapping[str, np.ndarray], settings: Any) -> tuple[Any, int]:
        sizes, hidden = arrays.get("sizes"), arrays.get("members.0.hidden.0.bias")
        if sizes is None or sizes.shape != (4,) or hidden is None:
            raise ValueError("holds no sizes")
        members = {name.split(".")[1] for name in arrays if name.startswith("members.")}
        if len(members) != settings.members or len(hidden) != settings.units:
            raise ValueError("is not of networks with these settings")
        *shape, actions = sizes.tolist()
        return tuple(shape), actions
