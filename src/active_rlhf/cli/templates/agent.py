"""An agent: who acts, and learns from the rewards it is given.

In a study:

    parts: [template_name.py]
    agent: {name: template_name, learning_rate: 0.01}

`active_rlhf/agents/ppo/update.py` is PPO in plain torch, and `a2c/agent.py` is A2C, to copy.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from active_rlhf.agents import Learned
from active_rlhf.agents.normalise import count, empty_moments, normalised
from active_rlhf.parts import agent
from active_rlhf.tasks import Task
from active_rlhf.tasks.rollout import Rollout, collect


@agent(name="template_name")
class TemplateName:
    """A linear Gaussian policy that climbs the policy gradient (REINFORCE, Williams 1992)."""

    def __init__(
        self,
        task: Task,
        stream: np.random.Generator,  # draws its initial parameters
        *,
        # Every keyword-only parameter is a setting, with its type, range and a sentence.
        # A run reads this one: the number of steps that `act` is asked for. (It also reads
        # `environments`, if there is one: with more than 1, `act` is given that many in step, a
        # `tasks.VectorTask`; see `tasks.rollout.collect_in_step`.)
        rollout_steps: Annotated[int, Field(ge=2, description="steps between two updates")] = 2048,
        learning_rate: Annotated[
            float, Field(gt=0, description="step size of the policy gradient")
        ] = 0.01,
        gamma: Annotated[float, Field(ge=0, lt=1, description="discount per step")] = 0.98,
        spread: Annotated[
            float, Field(gt=0, description="standard deviation of exploration")
        ] = 0.5,
    ):
        if hasattr(task.action_space, "n"):
            raise ValueError("acts in continuous action spaces only")
        self.discount, self.learning_rate, self.spread = gamma, learning_rate, spread
        inputs, outputs = task.observation_space.shape[0], task.action_space.shape[0]
        self.weights = stream.normal(0, 0.01, (outputs, inputs))
        self.moments = empty_moments(inputs)  # the reward model normalises with these
        self.path = "numpy"  # printed when a run starts
        self._seen = np.empty((0, inputs), np.float32)

    def act(self, task: Task, steps: int, stream: np.random.Generator | None) -> Rollout:
        """Explore for `steps` steps; without a stream act greedily and remember nothing."""
        seen = np.empty((steps, self.moments.mean.size), np.float32)
        noise = np.zeros((steps, len(self.weights)))
        if stream is not None:
            noise = self.spread * stream.standard_normal(noise.shape)

        def action(observation: np.ndarray, t: int) -> np.ndarray:
            if stream is not None:
                count(self.moments, observation)
            seen[t] = normalised(self.moments, observation)
            return self.weights @ seen[t] + noise[t]

        rollout = collect(task, steps, action)
        if stream is not None:
            self._seen = seen
        return rollout

    def learn(
        self, rollout: Rollout, rewards: np.ndarray, progress: float, stream: np.random.Generator
    ) -> Learned:
        """One step up the gradient of the discounted rewards to come."""
        to_come, running = np.empty(len(rewards)), 0.0
        for t in reversed(range(len(rewards))):
            running = rewards[t] + (0.0 if rollout.ended[t] else self.discount * running)
            to_come[t] = running
        advantage = (to_come - to_come.mean()) / (to_come.std() + 1e-8)
        deviation = (rollout.actions - self._seen @ self.weights.T) / self.spread
        gradient = (advantage[:, None] * deviation).T @ self._seen / len(rewards)
        self.weights += self.learning_rate * (1 - progress) * gradient
        return Learned({"gradient": float(np.linalg.norm(gradient))}, {"weights": self.weights})

    def log_probabilities(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Log density [n] of sampled actions [n, a] at raw observations [n, o], as of now."""
        z = (actions - self.greedy(observations)) / self.spread
        normaliser = np.log(self.spread * np.sqrt(2 * np.pi))
        return (-0.5 * z * z - normaliser).sum(axis=1)

    def greedy(self, observations: np.ndarray) -> np.ndarray:
        """Actions [n, a] without exploration for raw observations [n, o]."""
        return normalised(self.moments, observations) @ self.weights.T

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything needed to use the policy elsewhere."""
        moments = {f"observations.{name}": a for name, a in self.moments._asdict().items()}
        return {"weights": self.weights} | moments

    # Checkpoints are made between rollouts.
    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.weights, "moments": self.moments._asdict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.weights[:] = state["weights"]
        for name, array in self.moments._asdict().items():
            array[:] = state["moments"][name]
