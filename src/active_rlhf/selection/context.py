"""Everything a selector may look at in one session, and what it returns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # checking a configuration needs no simulator
    from active_rlhf.behaviour.store import SegmentStore


@dataclass(frozen=True)
class Context:
    """The state of a run at a session. Segments are named by ids, int64 [N]."""

    store: "SegmentStore"
    """Behaviour so far, for candidate generators, which draw from it; true rewards are not for
    them."""
    segment_length: int
    """H, in steps."""
    pool_size: int
    """M, candidate pairs of this session."""
    segments: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    """ids [...] -> raw observations [..., H, o] and actions as sampled [..., H, a]."""
    member_rewards: Callable[[np.ndarray], np.ndarray]
    """ids [N] -> predicted rewards [E, N, H] of each member of the reward model."""
    features: Callable[[np.ndarray], np.ndarray]
    """ids [N] -> last hidden layer of each member, summed over the segment, [E, N, k]."""
    embed: Callable[[np.ndarray], np.ndarray]
    """ids [N] -> VAE latent means [N, z]; the first call of a session trains the VAE."""
    log_probabilities: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """Raw observations [n, o], sampled actions [n, a] -> log pi [n] under the current policy."""
    train_accuracy: float | None
    """Of the reward model on its training labels; None before there are any."""
    labelled: np.ndarray
    """int64 [l, 2], the pairs asked so far."""
    answers: np.ndarray
    """float64 [l], their answers: 1 first, 0 second, 0.5 equal, nan skipped or held out for
    validation."""
    session: int
    """Number of this session, from 0."""
    step: int
    """Environment steps so far."""
    candidate_generator: np.random.Generator
    """Used for candidates only, so that equal candidate settings give equal candidates."""
    selector_generator: np.random.Generator

    @property
    def asked(self) -> int:
        """Queries so far."""
        return len(self.labelled)


@dataclass(frozen=True)
class Selection:
    """The queries of a session, int64 [B, 2], with statistics and times of their selection."""

    pairs: np.ndarray
    pool_size: int
    shortlist_size: int
    """Pairs that the picker chose from, after the filter and the share of best scores."""
    score_pool: float
    """Mean score of all candidates; NaN without a score, as is `score_selected`."""
    score_selected: float
    seconds: dict[str, float]
    """Wall seconds by stage (`selector.STAGES`)."""
