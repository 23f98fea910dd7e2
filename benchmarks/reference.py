"""Plain versions of PPO and reward training, against which the package's fast ones are measured.

They are written in the obvious way: gymnasium's wrappers, torch modules, autograd.
"""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.wrappers import vector as wrappers
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Subset, TensorDataset

from active_rlhf.agents.ppo.settings import PPOSettings
from active_rlhf.rewards.settings import MLPSettings
from active_rlhf.tasks.gym import make


def physics(environment: str, steps: int) -> Callable[[], None]:
    """`steps` environment steps of nothing but MuJoCo, under random controls drawn beforehand."""
    import mujoco

    env = make(environment)[0].unwrapped
    data, model, skip = env.data, env.model, env.frame_skip
    box = env.action_space
    controls = np.random.default_rng(0).uniform(box.low, box.high, (steps, *box.shape))

    def run() -> None:
        env.reset()
        for control in controls:
            data.ctrl[:] = control
            mujoco.mj_step(model, data, nstep=skip)

    return run


def _linear(inputs: int, outputs: int, gain: float) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def _network(inputs: int, outputs: int, gain: float) -> nn.Sequential:
    root = 2**0.5
    return nn.Sequential(
        _linear(inputs, 64, root),
        nn.Tanh(),
        _linear(64, 64, root),
        nn.Tanh(),
        _linear(64, outputs, gain),
    )


def plain_ppo(environment: str, settings: PPOSettings) -> Callable[[], None]:
    """One iteration of PPO on the true reward: a rollout step by step, then the update."""
    size, gamma, clip = settings.rollout_steps, settings.gamma, settings.clip

    envs: Any = gym.vector.SyncVectorEnv([lambda: make(environment)[0]])
    envs = wrappers.RecordEpisodeStatistics(envs)
    envs = wrappers.ClipAction(envs)
    envs = wrappers.NormalizeObservation(envs)
    envs = wrappers.TransformObservation(
        envs, lambda o: np.clip(o, -10, 10), envs.single_observation_space
    )
    envs = wrappers.NormalizeReward(envs, gamma=gamma)
    envs = wrappers.TransformReward(envs, lambda r: np.clip(r, -10, 10))
    o, a = envs.single_observation_space.shape[0], envs.single_action_space.shape[0]
    actor, critic, log_std = _network(o, a, 0.01), _network(o, 1, 1.0), torch.zeros(a)
    parameters = [*actor.parameters(), *critic.parameters(), log_std.requires_grad_()]
    adam = torch.optim.Adam(parameters, lr=settings.learning_rate, eps=1e-5)
    now = torch.as_tensor(envs.reset(seed=1)[0], dtype=torch.float32)

    def distribution(x: torch.Tensor) -> torch.distributions.Normal:
        return torch.distributions.Normal(actor(x), log_std.exp())

    def iteration() -> None:
        nonlocal now
        x, actions = torch.zeros(size, o), torch.zeros(size, a)
        log_p, rewards, values, ends = (torch.zeros(size) for _ in range(4))
        for t in range(size):
            with torch.no_grad():
                normal = distribution(now)
                action = normal.sample()
                log_p[t] = normal.log_prob(action).sum()
                values[t] = critic(now)[0, 0]
            x[t], actions[t] = now[0], action[0]
            following, reward, terminated, truncated, _ = envs.step(action.numpy())
            rewards[t], ends[t] = float(reward[0]), float((terminated | truncated)[0])
            now = torch.as_tensor(following, dtype=torch.float32)
        with torch.no_grad():
            advantages, last, value = torch.zeros(size), 0.0, critic(now)[0, 0]
            for t in reversed(range(size)):
                goes_on = 1.0 - ends[t]
                delta = rewards[t] + gamma * value * goes_on - values[t]
                advantages[t] = last = delta + gamma * settings.gae_lambda * goes_on * last
                value = values[t]
            returns = advantages + values
        for _ in range(settings.epochs):
            for rows in torch.randperm(size).split(size // settings.minibatches):
                normal = distribution(x[rows])
                ratio = (normal.log_prob(actions[rows]).sum(1) - log_p[rows]).exp()
                gain = advantages[rows]
                gain = (gain - gain.mean()) / (gain.std() + 1e-8)
                clipped = ratio.clamp(1 - clip, 1 + clip)
                loss = -torch.min(gain * ratio, gain * clipped).mean()
                v, old, target = critic(x[rows])[:, 0], values[rows], returns[rows]
                near = old + (v - old).clamp(-clip, clip)
                error = torch.max((v - target) ** 2, (near - target) ** 2).mean() / 2
                entropy = normal.entropy().sum(1).mean()
                loss = loss + settings.value_coefficient * error
                loss = loss - settings.entropy_coefficient * entropy
                adam.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, settings.max_grad_norm)
                adam.step()

    return iteration


class PlainEnsemble:
    """Reward networks trained by autograd on minibatches from a DataLoader."""

    def __init__(self, settings: MLPSettings, inputs: int, seed: int = 0):
        torch.manual_seed(seed)
        self.settings = settings
        self.members = [self._network(inputs) for _ in range(settings.members)]
        self.adams = [
            torch.optim.Adam(
                member.parameters(),
                lr=settings.learning_rate,
                weight_decay=settings.weight_decay,
            )
            for member in self.members
        ]

    def _network(self, inputs: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for width in self.settings.hidden:
            layers += [nn.Linear(inputs, width), nn.LeakyReLU()]
            layers += [nn.Dropout(self.settings.dropout)]
            inputs = width
        return nn.Sequential(*layers, nn.Linear(inputs, 1))

    def fit(self, inputs: np.ndarray, preferences: np.ndarray) -> float:
        """`epochs` epochs on pairs [n, 2, H, o + a], each member on its own sample; last loss."""
        answers = torch.from_numpy(preferences).float()
        data, n, losses = TensorDataset(torch.from_numpy(inputs), answers), len(inputs), []
        for member, adam in zip(self.members, self.adams, strict=True):
            sample = Subset(data, torch.randint(n, (n,)).tolist())
            loader = DataLoader(sample, self.settings.batch_size, shuffle=True)
            for epoch in range(self.settings.epochs):
                for segments, answer in loader:
                    returns = member(segments)[..., 0].sum(-1)
                    logits = returns[:, 0] - returns[:, 1]
                    loss = functional.binary_cross_entropy_with_logits(logits, answer)
                    adam.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(member.parameters(), self.settings.max_grad_norm)
                    adam.step()
                    if epoch == self.settings.epochs - 1:
                        losses.append(loss.item() * len(answer))
        return sum(losses) / (n * len(self.members))

    @torch.no_grad()
    def preferences(self, inputs: np.ndarray) -> np.ndarray:
        """P(first preferred) [E, n] for pairs [n, 2, H, o + a], without dropout."""
        x, chances = torch.from_numpy(inputs), []
        for member in self.members:
            member.eval()
            returns = member(x)[..., 0].sum(-1)
            member.train()
            chances.append(torch.sigmoid((returns[:, 0] - returns[:, 1]).double()).numpy())
        return np.stack(chances)
