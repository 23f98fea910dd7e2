"""A2C in plain torch: the whole algorithm, to read, copy and change.

Advantage actor-critic (Mnih et al. 2016, without their asynchrony): all environments take n steps,
and one gradient step follows, on the advantages that n-step returns have over the values. What the
network computes to act is kept for that step, as it would be the same numbers again.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

from active_rlhf.agents import Learned
from active_rlhf.agents.a2c.settings import A2CSettings
from active_rlhf.agents.advantages import generalised_advantages, without_future
from active_rlhf.agents.torch_agent import TorchAgent
from active_rlhf.tasks import Task, VectorTask
from active_rlhf.tasks.rollout import Rollout


class RMSprop(torch.optim.Optimizer):
    """RMSprop as Tensorflow has it: mean squares begin at 1, and epsilon is under the root.

    So the first steps are small; published results of A2C were made with it.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float, epsilon: float):
        super().__init__(parameters, {"lr": 0.0, "decay": decay, "epsilon": epsilon})
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["square"] = torch.ones_like(parameter)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            decay = group["decay"]
            for parameter in group["params"]:
                gradient, square = parameter.grad, self.state[parameter]["square"]
                if gradient is None:
                    continue
                square.mul_(decay).addcmul_(gradient, gradient, value=1 - decay)
                root = (square + group["epsilon"]).sqrt_()
                parameter.addcdiv_(gradient, root, value=-group["lr"])


class A2C(TorchAgent):
    """The agent."""

    def __init__(self, task: Any, settings: A2CSettings, stream: np.random.Generator):
        super().__init__(task, settings, stream)
        self.settings, self.discount = settings, settings.gamma
        self.optimiser = RMSprop(self.model.parameters(), settings.decay, settings.epsilon)
        self.path = f"torch: {settings.network}, {settings.environments} environments in step"

    def act(
        self, task: Task | VectorTask, steps: int, stream: np.random.Generator | None
    ) -> Rollout:
        n = getattr(task, "environments", 1)

        def explore(seen: torch.Tensor, t: int) -> torch.Tensor:
            outputs: torch.Tensor = self.model.remember(seen, slice(t * n, (t + 1) * n), steps)
            return outputs

        def exploit(seen: torch.Tensor, t: int) -> torch.Tensor:
            outputs: torch.Tensor = self.model.policy(seen)
            return outputs

        if stream is None:
            return self._rollout(task, steps, stream, exploit)[0]
        rollout, self._beyond = self._rollout(task, steps, stream, explore)
        return rollout

    def learn(
        self, rollout: Rollout, rewards: np.ndarray, progress: float, stream: np.random.Generator
    ) -> Learned:
        settings = self.settings
        outputs, values = self.model.recall()
        advantages, returns = self._targets(rollout, rewards, values.detach())
        distribution = self.model.distribution(outputs)
        log_probabilities = distribution.log_prob(_in_time(rollout.actions, rollout.lanes))
        policy_loss = -(advantages * log_probabilities).mean()
        value_loss = (returns - values).square().mean()
        entropy = distribution.entropy().mean()
        total = (
            policy_loss
            - settings.entropy_coefficient * entropy
            + settings.value_coefficient * value_loss
        )
        for group in self.optimiser.param_groups:
            group["lr"] = settings.learning_rate * (1.0 - progress if settings.anneal else 1.0)
        self.optimiser.zero_grad()
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), settings.max_grad_norm)
        self.optimiser.step()
        losses = {"policy": policy_loss, "value": value_loss, "entropy": entropy}
        learned_from = {"advantages": advantages.numpy(), "returns": returns.numpy()}
        # Parameters that were finite stay so if the gradient is.
        return Learned(
            {name: value.item() for name, value in losses.items()},
            learned_from | {"gradient": norm.numpy()},
        )

    def _targets(
        self, rollout: Rollout, rewards: np.ndarray, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Advantages and returns [T] in time order, as `values` [T] are: those of the network that
        acted."""
        settings, lanes = self.settings, rollout.lanes
        by_lane = values.numpy().reshape(-1, lanes).T.ravel()  # as in the rollout
        advantages = generalised_advantages(
            np.asarray(rewards, np.float64),
            by_lane,
            self._next_values(rollout, by_lane, self._beyond),
            rollout.cut,
            without_future(rollout.ended, rollout.terminated, settings.truncation),
            settings.gamma,
            settings.gae_lambda,
        )
        found = _in_time(advantages, lanes)
        return found, found + values


def _in_time(column: np.ndarray, lanes: int) -> torch.Tensor:
    """A column [T, ...] of a rollout, environment by environment, in time order."""
    by_lane = column.reshape(lanes, -1, *column.shape[1:])
    return torch.from_numpy(by_lane.swapaxes(0, 1).reshape(column.shape))
