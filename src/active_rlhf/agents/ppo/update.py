"""PPO in plain torch: the whole algorithm, to read, copy and change.

Proximal policy optimisation (Schulman et al. 2017) in the variant of CleanRL's continuous task:
clipped policy and value losses, normalised advantages, orthogonal weights, annealed Adam. It runs
wherever the compiled path (`agent.CompiledPPO`) cannot: other networks, discrete actions, several
environments in step, or a machine on which nothing compiles. Where both can run they agree, as the
tests show.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

from active_rlhf.agents import Learned
from active_rlhf.agents.advantages import generalised_advantages, without_future
from active_rlhf.agents.ppo.agent import Batch, orders
from active_rlhf.agents.ppo.settings import PPOSettings
from active_rlhf.agents.torch_agent import TorchAgent
from active_rlhf.tasks import Task, VectorTask
from active_rlhf.tasks.rollout import Rollout

LOSSES = ("policy", "value", "kl", "clipped")


def losses(model: Any, data: Batch, settings: PPOSettings) -> dict[str, torch.Tensor]:
    """The losses of one minibatch, as scalars that can be differentiated."""
    clip = settings.clip
    outputs, values = model(data.observations)
    distribution = model.distribution(outputs)
    log_ratio = distribution.log_prob(data.actions) - data.log_probabilities
    ratio = log_ratio.exp()
    advantages = (data.advantages - data.advantages.mean()) / (data.advantages.std() + 1e-8)
    clipped_ratio = ratio.clamp(1 - clip, 1 + clip)
    policy_loss = torch.max(-advantages * ratio, -advantages * clipped_ratio).mean()

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


class TorchPPO(TorchAgent):
    """The agent."""

    def __init__(
        self, task: Any, settings: PPOSettings, stream: np.random.Generator, because: str = ""
    ):
        super().__init__(task, settings, stream)
        self.settings, self.discount = settings, settings.gamma
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=0.0, eps=1e-5)
        self.path = "torch" + (f": {because}" if because else "")

    def act(
        self, task: Task | VectorTask, steps: int, stream: np.random.Generator | None
    ) -> Rollout:
        times: list[torch.Tensor] = []  # what the network saw at each of them

        def policy(seen: torch.Tensor, t: int) -> torch.Tensor:
            times.append(seen.clone())
            outputs: torch.Tensor = self.model.policy(seen)
            return outputs

        rollout, beyond = self._rollout(task, steps, stream, policy)
        if stream is not None:
            self._seen, self._beyond = torch.stack(times, dim=1).flatten(0, 1), beyond
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
        settings, seen, actions = self.settings, self._seen, torch.from_numpy(rollout.actions)
        found = [self.model(part) for part in seen.split(self.model.at_once)]
        outputs, values = (torch.cat(parts) for parts in zip(*found, strict=True))
        advantages = torch.from_numpy(
            generalised_advantages(
                np.asarray(rewards, np.float64),
                values.numpy(),
                self._next_values(rollout, values.numpy(), self._beyond),
                rollout.cut,
                without_future(rollout.ended, rollout.terminated, settings.truncation),
                settings.gamma,
                settings.gae_lambda,
            )
        )
        return Batch(
            observations=seen,
            actions=actions,
            log_probabilities=self.model.distribution(outputs).log_prob(actions),
            advantages=advantages,
            returns=advantages + values,
            values=values,
        )
