"""An ensemble of reward networks in plain torch: the reference, and the one to copy and change.

It is slower than `mlp` and computes the same. Any module that gives a reward [..., 1] for inputs
[..., o + a] can replace `network`; put a copy in a file of your own, under another name, and list
it in a study's `parts`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from active_rlhf.compute import modules
from active_rlhf.parts import reward_model
from active_rlhf.rewards.ensemble import Ensemble, bootstrap
from active_rlhf.rewards.settings import TorchMLPSettings

CHUNK = 2048  # steps predicted at once


def network(inputs: int, settings: TorchMLPSettings) -> nn.Module:
    """Rewards [..., 1] for inputs [..., o + a]; the last linear layer gives the reward."""
    layers: list[nn.Module] = []
    for width in settings.hidden:
        layers += [nn.Linear(inputs, width), nn.LeakyReLU(), nn.Dropout(settings.dropout)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, 1))


def bradley_terry(rewards: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
    """Cross-entropy [n] of rewards [n, 2, H] with answers [n] (1 first, 0 second, .5 equal)."""
    first, second = rewards.sum(-1).unbind(1)
    return functional.binary_cross_entropy_with_logits(first - second, answers, reduction="none")


def adams(networks: Iterable[nn.Module], settings: Any) -> list[torch.optim.Adam]:
    """An optimiser for each member."""
    rates = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    return [torch.optim.Adam(member.parameters(), **rates) for member in networks]


@reward_model(name="torch_mlp")
class TorchMLP(Ensemble):
    """Multilayer perceptrons in plain torch: slower than `mlp`, a file to copy and change."""

    def __init__(
        self,
        observations: int,
        actions: int,
        generator: np.random.Generator,
        settings: TorchMLPSettings,
    ):
        super().__init__(settings.members, observations, actions)
        torch.set_num_threads(1)  # a run is one
        self.settings, self.generator = settings, generator
        self._seed()
        self.networks = nn.ModuleList(
            network(observations + actions, settings) for _ in range(settings.members)
        ).eval()
        self.optimisers = adams(self.networks, settings)

    def _seed(self) -> None:
        """Seed torch from the run's own stream, so that a resumed run draws the same."""
        torch.manual_seed(int(self.generator.integers(2**63)))

    def fit(
        self,
        observations: np.ndarray,
        actions: np.ndarray,
        preferences: np.ndarray,
        importance: np.ndarray | None = None,
    ) -> float:
        """Train every member for `epochs` epochs on its own sample of the labels."""
        inputs = torch.from_numpy(self.inputs(observations, actions))

        def rewards(member: nn.Module, pairs: np.ndarray) -> torch.Tensor:
            found: torch.Tensor = member(inputs[pairs])[..., 0]
            return found

        return self._train(rewards, preferences, importance)

    def _begin_epoch(self, member: nn.Module) -> None:
        self._seed()

    def _train(
        self,
        rewards: Callable[[nn.Module, np.ndarray], torch.Tensor],
        preferences: np.ndarray,
        importance: np.ndarray | None,
    ) -> float:
        """Train on answers [n]; rewards: a member's [b, 2, H] for the pairs at these positions."""
        settings = self.settings
        answers = torch.from_numpy(preferences).float()
        losses: list[list[float]] = []
        for member, optimiser in zip(self.networks.train(), self.optimisers, strict=True):
            for epoch in bootstrap(
                len(preferences),
                settings.batch_size,
                settings.epochs,
                self.generator,
                settings.bootstrap,
                importance,
            ):
                self._begin_epoch(member)
                last_epoch = []
                for pairs, weights in epoch:
                    each = bradley_terry(rewards(member, pairs), answers[pairs])
                    loss = each @ torch.from_numpy(weights).float()
                    optimiser.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(member.parameters(), settings.max_grad_norm)
                    optimiser.step()
                    last_epoch.append(loss.item())
            losses.append(last_epoch)
        self.networks.eval()
        return float(np.mean(losses))

    @torch.no_grad()
    def member_rewards(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        inputs = torch.from_numpy(self.inputs(observations, actions))
        parts = inputs.reshape(-1, inputs.shape[-1]).split(CHUNK)
        rewards = [torch.cat([member(part) for part in parts]) for member in self.networks]
        return torch.stack(rewards).reshape(len(rewards), *inputs.shape[:-1]).numpy()

    @torch.no_grad()
    def features(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        found = []
        for member in self.networks:
            *_, last = (layer for layer in member.modules() if isinstance(layer, nn.Linear))
            seen: list[torch.Tensor] = []
            hook = last.register_forward_pre_hook(lambda _, given, to=seen: to.append(given[0]))
            for segment in zip(observations, actions, strict=True):
                member(torch.from_numpy(self.inputs(*segment)))
            hook.remove()
            found.append(torch.stack([units.sum(0) for units in seen]))
        return torch.stack(found).numpy()

    @property
    def parameters(self) -> np.ndarray:
        return nn.utils.parameters_to_vector(self.networks.parameters()).detach().numpy()

    def state_dict(self) -> dict[str, Any]:
        pairs = zip(self.networks, self.optimisers, strict=True)
        members = {f"{e}": modules.state(*pair) for e, pair in enumerate(pairs)}
        return {"members": members} | self.scales()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for e, (network, optimiser) in enumerate(zip(self.networks, self.optimisers, strict=True)):
            modules.load_state(network, optimiser, state["members"][f"{e}"])
        self.load_scales(state)

    def arrays(self) -> dict[str, np.ndarray]:
        members = {f"members.{name}": a for name, a in modules.arrays(self.networks).items()}
        sizes = np.array([self.observations, self.actions])
        return members | self.scales() | {"sizes": sizes}

    @classmethod
    def sizes(cls, arrays: Mapping[str, np.ndarray], settings: TorchMLPSettings) -> tuple[int, int]:
        sizes, rows = arrays.get("sizes"), {len(a) for a in arrays.values() if a.ndim}
        if sizes is None or sizes.shape != (2,):
            raise ValueError("holds no sizes")
        members = {name.split(".")[1] for name in arrays if name.startswith("members.")}
        if len(members) != settings.members or not rows.issuperset(settings.hidden):
            raise ValueError("is not of networks with these settings")
        return int(sizes[0]), int(sizes[1])
