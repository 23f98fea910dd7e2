"""Advantages of the steps of a rollout."""

import numpy as np


def generalised_advantages(
    rewards: np.ndarray,
    values: np.ndarray,
    next_values: np.ndarray,
    cut: np.ndarray,
    last: np.ndarray,
    gamma: float,
    gae_lambda: float,
) -> np.ndarray:
    """GAE (Schulman et al. 2016, eq. 16), float32 [T]; with lambda 1, n-step returns less values.

    cut: steps, bool [T], that the next one does not continue (`Rollout.cut`); next_values [T]: of
    what each step led to; last: steps after which nothing more is expected.
    """
    advantages, running = np.empty(len(rewards), np.float32), 0.0
    for t in reversed(range(len(rewards))):
        future = 0.0 if last[t] else next_values[t]
        delta = rewards[t] + gamma * future - values[t]
        running = delta + (0.0 if cut[t] else gamma * gae_lambda * running)
        advantages[t] = running
    return advantages


def without_future(ended: np.ndarray, terminated: np.ndarray, truncation: str) -> np.ndarray:
    """Steps, bool [T], after which nothing more is expected: terminal ones and, with
    `truncation: terminal`, time limits."""
    return ended if truncation == "terminal" else terminated
