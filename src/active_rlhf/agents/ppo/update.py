"""PPO in plain torch: the whole agent, to read, copy and change.

Proximal policy optimisation (Schulman et al. 2017) in the variant of CleanRL's continuous task:
clipped policy and value losses, normalised advantages, orthogonal weights, annealed Adam. It runs
wherever the compiled path (`agent.CompiledPPO`) cannot: other networks, discrete actions, or a
machine on which nothing compiles. Where both can run they agree, as the tests show.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from active_rlhf.agents import Learned
from active_rlhf.agents.heads import Categorical, Gaussian, head
from active_rlhf.agents.networks import initial_weights
from active_rlhf.agents.normalise import Moments, count, empty_moments, normalised
from active_rlhf.agents.ppo.agent import Batch, orders, without_future
from active_rlhf.agents.ppo.settings import PPOSettings
from active_rlhf.agents.saved import bounds
from active_rlhf.compute import modules
from active_rlhf.tasks import Task
from active_rlhf.tasks.rollout import Rollout, collect

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}

LOSSES = ("policy", "value", "kl", "clipped")


def perceptron(
    sizes: list[int], activation: str, gain: float, stream: np.random.Generator
) -> nn.Sequential:
    """Linear layers of these sizes with an activation between them; zero biases."""
    layers: list[nn.Module] = []
    for weight in initial_weights(sizes, gain, stream):
        layer = nn.Linear(*weight.shape)
        layer.weight.data = torch.from_numpy(weight.T.astype(np.float32).copy())
        layer.bias.data.zero_()
        layers += [layer, ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


class ActorCritic(nn.Module):
    """Policy and value function of normalised observations [n, o]."""

    def __init__(
        self, inputs: int, head: Gaussian | Categorical, settings: PPOSettings, stream: Any
    ):
        super().__init__()
        self.head = head
        hidden, activation = list(settings.hidden), settings.activation
        self.actor = perceptron([inputs, *hidden, head.outputs], activation, 0.01, stream)
        self.critic = perceptron([inputs, *hidden, 1], activation, 1.0, stream)

    def distribution(self, x: torch.Tensor) -> torch.distributions.Distribution:
        return self.head.distribution(self.actor(x))

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return self.critic(x)[:, 0]


def generalised_advantages(
    rewards: np.ndarray,
    values: np.ndarray,
    next_values: np.ndarray,
    ended: np.ndarray,
    terminated: np.ndarray,
    settings: PPOSettings,
) -> np.ndarray:
    """GAE (Schulman et al. 2016, eq. 16), float32 [T], over a rollout of several episodes.

    next_values: at a truncated end the value of the final observation; a terminated one is worth
    nothing.
    """
    gamma, lam = settings.gamma, settings.gae_lambda
    advantages, running = np.empty(len(rewards), np.float32), 0.0
    for t in reversed(range(len(rewards))):
        future = 0.0 if terminated[t] else next_values[t]
        delta = rewards[t] + gamma * future - values[t]
        running = delta + (0.0 if ended[t] else gamma * lam * running)
        advantages[t] = running
    return advantages


def losses(model: ActorCritic, data: Batch, settings: PPOSettings) -> dict[str, torch.Tensor]:
    """The losses of one minibatch, as scalars that can be differentiated."""
    clip = settings.clip
    distribution = model.distribution(data.observations)
    log_ratio = distribution.log_prob(data.actions) - data.log_probabilities
    ratio = log_ratio.exp()
    advantages = (data.advantages - data.advantages.mean()) / (data.advantages.std() + 1e-8)
    clipped_ratio = ratio.clamp(1 - clip, 1 + clip)
    policy_loss = torch.max(-advantages * ratio, -advantages * clipped_ratio).mean()

    values = model.value(data.observations)
    near = data.values + (values - data.values).clamp(-clip, clip)
    value_loss = 0.5 * torch.max((values - data.returns) ** 2, (near - data.returns) ** 2).mean()
    entropy = distribution.entropy().mean()
    total = (
        policy_loss
        - settings.entropy_coefficient * entropy
        + settings.value_coefficient * value_loss
    )
    return {
        "total": total,
        "policy": policy_loss,
        "value": value_loss,
        "kl": ((ratio - 1) - log_ratio).mean(),
        "clipped": ((ratio - 1).abs() > clip).float().mean(),
    }


class TorchPPO:
    """The agent."""

    def __init__(
        self, task: Task, settings: PPOSettings, stream: np.random.Generator, because: str = ""
    ):
        self.settings, self.discount = settings, settings.gamma
        inputs = int(np.prod(task.observation_space.shape))
        self.model = ActorCritic(inputs, head(task.action_space), settings, stream)
        self._bounds = bounds(task.action_space)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=0.0, eps=1e-5)
        self.moments: Moments = empty_moments(inputs)
        self.path = "torch" + (f": {because}" if because else "")

    def _see(self, observations: np.ndarray) -> torch.Tensor:
        """Raw observations [n, ...] as the networks see them, with today's moments."""
        return torch.from_numpy(
            normalised(self.moments, observations.reshape(len(observations), -1))
        )

    @torch.no_grad()
    def act(self, task: Task, steps: int, stream: np.random.Generator | None) -> Rollout:
        head, moments = self.model.head, self.moments
        noise = None if stream is None else head.noise(stream, steps)
        seen = np.empty((steps, moments.mean.size), np.float32)
        following = np.empty_like(seen)  # at an episode's end its final observation

        def action(observation: np.ndarray, t: int) -> np.ndarray:
            seen[t] = normalised(moments, observation.ravel())
            outputs = self.model.actor(torch.from_numpy(seen[t]))
            return head.action(outputs, None if noise is None else noise[t])

        def meet(observation: np.ndarray, after: int | None) -> None:
            if stream is not None:
                count(moments, observation.ravel())
            if after is not None:
                following[after] = normalised(moments, observation.ravel())

        if stream is not None and moments.count[0] < 1:
            count(moments, task.observation.ravel())
        rollout = collect(task, steps, action, meet)
        self._acted = seen, following
        return rollout

    def learn(
        self, rollout: Rollout, rewards: np.ndarray, progress: float, stream: np.random.Generator
    ) -> Learned:
        settings, model, steps = self.settings, self.model, len(rewards)
        data = self._batch(rollout, rewards)
        share = 1.0 - progress if settings.anneal else 1.0
        for group in self.optimiser.param_groups:
            group["lr"] = settings.learning_rate * share
        history = []
        for order in orders(steps, settings.epochs, stream):
            for rows in order.reshape(settings.minibatches, -1):
                found = losses(model, Batch(*(values[rows] for values in data)), settings)
                self.optimiser.zero_grad()
                found["total"].backward()
                nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
                self.optimiser.step()
                history.append([found[name].item() for name in LOSSES])
        means = np.mean(history, axis=0).tolist()
        arrays = {name: values.numpy() for name, values in data._asdict().items()}
        return Learned(dict(zip(LOSSES, means, strict=True)), arrays | self.arrays())

    @torch.no_grad()
    def _batch(self, rollout: Rollout, rewards: np.ndarray) -> Batch:
        """What to learn from: the rollout as the policy that acted saw it."""
        seen, following = map(torch.from_numpy, self._acted)
        actions = torch.from_numpy(rollout.actions)
        values = self.model.value(seen)
        advantages = torch.from_numpy(
            generalised_advantages(
                np.asarray(rewards, np.float64),
                values.numpy(),
                self.model.value(following).numpy(),
                rollout.ended,
                without_future(rollout, self.settings),
                self.settings,
            )
        )
        return Batch(
            observations=seen,
            actions=actions,
            log_probabilities=self.model.distribution(seen).log_prob(actions),
            advantages=advantages,
            returns=advantages + values,
            values=values,
        )

    @torch.no_grad()
    def log_probabilities(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        distribution = self.model.distribution(self._see(observations))
        return distribution.log_prob(torch.from_numpy(actions)).numpy()

    @torch.no_grad()
    def greedy(self, observations: np.ndarray) -> np.ndarray:
        return self.model.head.action(self.model.actor(self._see(observations)), None)

    def arrays(self) -> dict[str, np.ndarray]:
        arrays = {}
        for role in ("actor", "critic"):
            linear = [layer for layer in getattr(self.model, role) if isinstance(layer, nn.Linear)]
            for i, layer in enumerate(linear, 1):
                arrays[f"{role}.w{i}"] = layer.weight.detach().numpy().T
                arrays[f"{role}.b{i}"] = layer.bias.detach().numpy()
        if isinstance(self.model.head, Gaussian):
            arrays["log_std"] = self.model.head.log_std.detach().numpy()
        moments = {f"observations.{k}": v for k, v in self.moments._asdict().items()}
        return arrays | moments | self._bounds

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": modules.state(self.model, self.optimiser),
            "moments": self.moments._asdict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        modules.load_state(self.model, self.optimiser, state["model"])
        for name, array in self.moments._asdict().items():
            array[:] = state["moments"][name]
