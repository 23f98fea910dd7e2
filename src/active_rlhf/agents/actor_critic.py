"""Networks of agents in torch: a policy with a value function, and how they see observations.

`see` turns raw observations into what a network takes. An agent that learns at once from what it
has just done (A2C) can have the network `remember` what it computed when acting, and `recall` it
with gradients, without computing it again.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from active_rlhf.agents.heads import Gaussian, head
from active_rlhf.agents.networks import STRIDES, initial_weights, orthogonal
from active_rlhf.agents.normalise import Moments, count_all, empty_moments, normalised
from active_rlhf.agents.pictures import picture_shape, unsuitable
from active_rlhf.agents.saved import PICTURE
from active_rlhf.agents.settings import NetworkSettings

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}
CONVOLUTIONS = ((32, 8), (64, 4), (64, 3))  # channels and width of the squares, of each


def actor_critic(task: Any, settings: NetworkSettings, stream: np.random.Generator) -> Any:
    """The networks for a task; `stream` draws their weights. Raises ValueError, in one line, for
    observations that they cannot see."""
    if why := unsuitable(settings.network, task.observation_space):
        raise ValueError(f"{task.name}: {why}")
    made = Convolutional if settings.network == "cnn" else Perceptrons
    return made(task.observation_space.shape, task.action_space, settings, stream)


class _ActorCritic(nn.Module):
    """What both have in common."""

    at_once: int
    """Observations evaluated at once, where there may be many."""

    def __init__(self, action_space: Any):
        super().__init__()
        self.head = head(action_space)

    def distribution(self, outputs: torch.Tensor) -> torch.distributions.Distribution:
        """Of actions, for the policy's outputs [n, k]."""
        return self.head.distribution(outputs)

    @torch.no_grad()
    def log_probabilities(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Log density [n] of sampled actions [n, ...] at raw observations [n, ...]."""
        found = [
            self.distribution(self.policy(self.see(seen))).log_prob(torch.from_numpy(done))
            for seen, done in self._chunks(observations, actions)
        ]
        return torch.cat(found).numpy() if found else np.empty(0, np.float32)

    @torch.no_grad()
    def greedy(self, observations: np.ndarray) -> np.ndarray:
        """Actions [n, ...] without exploration for raw observations [n, ...]."""
        found = [
            self.head.action(self.policy(self.see(seen)), None)
            for (seen,) in self._chunks(observations)
        ]
        return np.concatenate(found)

    def _chunks(self, *columns: np.ndarray) -> list[tuple[np.ndarray, ...]]:
        begins = range(0, len(columns[0]), self.at_once)
        return [tuple(column[i : i + self.at_once] for column in columns) for i in begins]

    def _arrays(self) -> dict[str, np.ndarray]:
        own = {}
        if isinstance(self.head, Gaussian):
            own["log_std"] = self.head.log_std.detach().numpy()
        return own


def layer(weight: np.ndarray) -> nn.Linear:
    """A linear layer of these weights [inputs, outputs] and zero biases."""
    made = nn.Linear(*weight.shape)
    made.weight.data = torch.from_numpy(weight.T.astype(np.float32).copy())
    made.bias.data.zero_()
    return made


def perceptron(
    sizes: list[int], activation: str, gain: float, stream: np.random.Generator
) -> nn.Sequential:
    """Linear layers of these sizes with an activation between them; zero biases."""
    layers: list[nn.Module] = []
    for weight in initial_weights(sizes, gain, stream):
        layers += [layer(weight), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


def linear_arrays(role: str, network: nn.Module, begin: int = 1) -> dict[str, np.ndarray]:
    """Weights [inputs, outputs] and biases of a perceptron, as `<role>.w1`, `<role>.b1`, ..."""
    linear = [one for one in network.modules() if isinstance(one, nn.Linear)]
    found = {}
    for i, one in enumerate(linear, begin):
        found[f"{role}.w{i}"] = one.weight.detach().numpy().T
        found[f"{role}.b{i}"] = one.bias.detach().numpy()
    return found


class Perceptrons(_ActorCritic):
    """Policy and value function of flat observations, normalised by their moments so far."""

    at_once = 1 << 15

    def __init__(
        self,
        shape: tuple[int, ...],
        action_space: Any,
        settings: NetworkSettings,
        stream: np.random.Generator,
    ):
        super().__init__(action_space)
        inputs = int(np.prod(shape))
        hidden, activation = list(settings.hidden), settings.activation
        self.actor = perceptron([inputs, *hidden, self.head.outputs], activation, 0.01, stream)
        self.critic = perceptron([inputs, *hidden, 1], activation, 1.0, stream)
        self.moments: Moments = empty_moments(inputs)
        self._memory = torch.empty(0, inputs)

    def see(self, observations: np.ndarray) -> torch.Tensor:
        """Raw observations [n, ...] normalised with today's moments, float32 [n, o]."""
        flat = observations.reshape(len(observations), -1)
        return torch.from_numpy(normalised(self.moments, flat))

    def count(self, observations: np.ndarray) -> None:
        """Let the moments count raw observations [n, ...]."""
        count_all(self.moments, observations.reshape(len(observations), -1))

    def uncounted(self) -> bool:
        """Whether not even the first observation was counted."""
        return bool(self.moments.count[0] < 1)

    def policy(self, seen: torch.Tensor) -> torch.Tensor:
        """The policy's outputs [n, k]."""
        return self.actor(seen)

    def value(self, seen: torch.Tensor) -> torch.Tensor:
        """Values [n]."""
        return self.critic(seen)[:, 0]

    def forward(self, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The policy's outputs [n, k] and values [n]."""
        return self.policy(seen), self.value(seen)

    def remember(self, seen: torch.Tensor, place: slice, room: int) -> torch.Tensor:
        """The policy's outputs for rows `place` of `room`, which `recall` will give."""
        if len(self._memory) != room:
            self._memory = torch.empty(room, seen.shape[1])
        self._memory[place] = seen
        return self.policy(seen)

    def recall(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Outputs [n, k] and values [n] of what was remembered, with gradients. It is computed
        again: for networks as small, that takes less time than to keep it."""
        return self(self._memory)

    def arrays(self) -> dict[str, np.ndarray]:
        """All that `saved.SavedPolicy` needs, by name; the arrays are the network's own."""
        moments = {f"observations.{k}": v for k, v in self.moments._asdict().items()}
        networks = linear_arrays("actor", self.actor) | linear_arrays("critic", self.critic)
        return networks | self._arrays() | moments


class _Known(torch.autograd.Function):
    """A layer and its rectifier, whose output is known: only the gradients are computed."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        used: torch.Tensor,
        out: Any,
        stride: int,
    ) -> torch.Tensor:
        # `used` is the weight in the number type of x.
        ctx.save_for_backward(x, used, out)
        ctx.stride = stride
        return out.view_as(out)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        x, weight, out = ctx.saved_tensors
        above = torch.ops.aten.threshold_backward(gradients[0], out, 0)
        wanted = ctx.needs_input_grad[0]
        if weight.ndim == 2:
            below = above @ weight if wanted else None
            return below, (above.T @ x).float(), above.float().sum(0), None, None, None
        stride, none = [ctx.stride] * 2, [0, 0]
        below, *found = torch.ops.aten.convolution_backward(
            *(above, x, weight, [len(weight)], stride, none, [1, 1], False, none, 1),
            [wanted, True, True],
        )
        return below, *(gradient.float() for gradient in found), None, None, None


class Convolutional(_ActorCritic):
    """Policy and value function of pictures, on the network of Mnih et al. (2015).

    Three convolutions and dense layers, rectified, are shared. Pictures stay uint8 until they enter
    it, where they are scaled to [0, 1]; nothing is normalised by moments. With precision
    `bfloat16`, what these layers take, give and pass back is rounded to it; parameters and both
    outputs are float32.
    """

    moments, at_once = None, 256

    def __init__(
        self,
        shape: tuple[int, ...],
        action_space: Any,
        settings: NetworkSettings,
        stream: np.random.Generator,
    ):
        super().__init__(action_space)
        self._shape = tuple(shape)
        self._picture = picture_shape(self._shape)
        channels, *size = self._picture
        convolutions = []
        for (outputs, width), stride in zip(CONVOLUTIONS, STRIDES, strict=True):
            made = nn.Conv2d(channels, outputs, width, stride)
            drawn = np.sqrt(2) * orthogonal((outputs, channels * width**2), stream)
            made.weight.data = torch.from_numpy(drawn.astype(np.float32)).view_as(made.weight)
            made.bias.data.zero_()
            convolutions.append(made)
            channels, size = outputs, [(n - width) // stride + 1 for n in size]
        widths = [channels * size[0] * size[1], *settings.hidden]
        # as wide as `memory_format=channels_last` would have it: much faster on a CPU
        self.convolutions = nn.ModuleList(convolutions).to(memory_format=torch.channels_last)
        dense = [np.sqrt(2) * orthogonal(sizes, stream) for sizes in pairwise(widths)]
        self.dense = nn.ModuleList(map(layer, dense))
        self.actor = layer(0.01 * orthogonal((widths[-1], self.head.outputs), stream))
        self.critic = layer(orthogonal((widths[-1], 1), stream))
        self._memory: list[torch.Tensor] = []
        rounds = getattr(settings, "precision", "float32") == "bfloat16"
        self._type = torch.bfloat16 if rounds else torch.float32
        self._rounded: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._versions: list[int] = []  # of the parameters that were rounded

    def see(self, observations: np.ndarray) -> torch.Tensor:
        """Raw observations [n, ...] as uint8 [n, channels, height, width]."""
        channels_last = len(self._shape) == 3 and self._shape != self._picture
        seen = torch.from_numpy(np.asarray(observations))
        return seen.movedim(-1, 1) if channels_last else seen.reshape(-1, *self._picture)

    def count(self, observations: np.ndarray) -> None:
        """Nothing is counted."""

    def uncounted(self) -> bool:
        return False

    def _used(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Weight and bias of each layer, in the number type of products."""
        layers: list[Any] = [*self.convolutions, *self.dense]
        if self._type == torch.float32:
            return [(one.weight, one.bias) for one in layers]
        versions = [one.weight._version for one in layers]
        if torch.is_grad_enabled() or versions != self._versions:
            rounded = [(one.weight.to(self._type), one.bias.to(self._type)) for one in layers]
            if torch.is_grad_enabled():
                return rounded
            self._rounded, self._versions = rounded, versions
        return self._rounded

    def _layers(self, seen: torch.Tensor) -> Any:
        """The scaled pictures, and then what each rectified layer makes of them."""
        x = torch.empty(seen.shape, dtype=self._type, memory_format=torch.channels_last)
        x.copy_(seen).mul_(1 / 255)
        yield x
        used = iter(self._used())
        for stride, (weight, bias) in zip(STRIDES, used, strict=False):
            yield (x := torch.relu(torch.conv2d(x, weight, bias, stride)))
        x = x.flatten(1)
        for weight, bias in used:
            yield (x := torch.relu(nn.functional.linear(x, weight, bias)))

    def _features(self, seen: torch.Tensor) -> torch.Tensor:
        *_, features = self._layers(seen)
        return features.float()

    def policy(self, seen: torch.Tensor) -> torch.Tensor:
        """The policy's outputs [n, k]."""
        return self.actor(self._features(seen))

    def value(self, seen: torch.Tensor) -> torch.Tensor:
        """Values [n]."""
        return self.critic(self._features(seen))[:, 0]

    def forward(self, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The policy's outputs [n, k] and values [n]."""
        features = self._features(seen)
        return self.actor(features), self.critic(features)[:, 0]

    def remember(self, seen: torch.Tensor, place: slice, room: int) -> torch.Tensor:
        """The policy's outputs for rows `place` of `room`, which `recall` will give."""
        layers = list(self._layers(seen))
        if not self._memory or len(self._memory[0]) != room:
            self._memory = [x.new_empty(room, *x.shape[1:]) for x in layers]
            self._memory = [
                x.to(memory_format=torch.channels_last) if x.ndim == 4 else x for x in self._memory
            ]
        for kept, x in zip(self._memory, layers, strict=True):
            kept[place] = x
        return self.actor(layers[-1].float())

    def recall(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Outputs [n, k] and values [n] of what was remembered, with gradients; the parameters must
        be those of then."""
        x, *known = self._memory
        outs = iter(known)
        with torch.no_grad():
            used = iter(self._used())
        for one, stride, (weight, _) in zip(self.convolutions, STRIDES, used, strict=False):
            x = _Known.apply(x, one.weight, one.bias, weight, next(outs), stride)
        x = x.flatten(1)
        for one, (weight, _) in zip(self.dense, used, strict=True):
            x = _Known.apply(x, one.weight, one.bias, weight, next(outs), 1)
        x = x.float()
        return self.actor(x), self.critic(x)[:, 0]

    def arrays(self) -> dict[str, np.ndarray]:
        """All that `saved.SavedPolicy` needs, by name; the arrays are the network's own."""
        found = {}
        for i, one in enumerate(self.convolutions, 1):
            found[f"pixels.w{i}"] = one.weight.detach().numpy()
            found[f"pixels.b{i}"] = one.bias.detach().numpy()
        for role, network in (
            ("trunk", self.dense),
            ("actor", self.actor),
            ("critic", self.critic),
        ):
            found |= linear_arrays(role, network)
        return found | self._arrays() | {PICTURE: np.array(self._shape, np.int64)}
